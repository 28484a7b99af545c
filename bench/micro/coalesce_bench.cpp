// An answer of about 200 events for fifty clients: from a call of each one's own, and from one call that they share.
//
// Each event comes, is read, looked at and written as one chunk, as in a live stream; what the provider does is not measured.
#include <benchmark/benchmark.h>

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "bench/micro/byte_pipe.hpp"
#include "bench/micro/workload.hpp"
#include "dataplane/coalesce/broadcast.hpp"
#include "dataplane/wire/chunked.hpp"
#include "dataplane/wire/sse.hpp"

namespace balancer::bench {
namespace {

constexpr std::size_t kClients = 50;

std::size_t whole_events(wire::SseSplitter& events, std::string_view held) {
    std::size_t whole = 0;
    while (auto event = events.next(held.substr(whole))) whole += event->size;
    return whole;
}

void write_chunk(BytePipe& client, std::string_view bytes) {
    std::array<char, wire::kChunkPrefixMax> prefix;
    std::size_t size = wire::write_chunk_prefix(prefix.data() + prefix.size(), bytes.size());
    std::array<std::string_view, 3> pieces = {
        std::string_view(prefix.data() + prefix.size() - size, size), bytes, "\r\n"
    };
    client.write(pieces);
}

void send(benchmark::State& state, std::deque<BytePipe>& providers, std::string_view event) {
    state.PauseTiming();
    std::array<std::string_view, 1> pieces = {event};
    for (BytePipe& provider : providers) provider.write(pieces);
    state.ResumeTiming();
}

void drain(benchmark::State& state, std::deque<BytePipe>& clients) {
    state.PauseTiming();
    for (BytePipe& client : clients) client.drain();
    state.ResumeTiming();
}

void path(benchmark::State& state, void (*run)(benchmark::State&)) { run(state); }

void separate_relays(benchmark::State& state) {
    const std::vector<std::string> events = messages_stream();
    std::deque<BytePipe> providers(kClients);
    std::deque<BytePipe> clients(kClients);
    std::array<char, 16U << 10> buffer;
    for (auto _ : state) {
        std::vector<wire::SseSplitter> splitters(kClients);
        for (const std::string& event : events) {
            send(state, providers, event);
            for (std::size_t i = 0; i < kClients; ++i) {
                std::size_t got = providers[i].read(buffer.data(), buffer.size());
                std::size_t whole = whole_events(splitters[i], {buffer.data(), got});
                write_chunk(clients[i], {buffer.data(), whole});
            }
        }
        drain(state, clients);
    }
}

void shared_call(benchmark::State& state) {
    using dataplane::Broadcast;
    const std::vector<std::string> events = messages_stream();
    std::deque<BytePipe> providers(1);
    std::deque<BytePipe> clients(kClients);
    std::array<char, 16U << 10> buffer;
    for (auto _ : state) {
        wire::SseSplitter splitter;
        Broadcast answer;
        std::size_t news = 0;
        std::deque<Broadcast::Reader> readers;
        for (std::size_t i = 0; i < kClients; ++i) readers.emplace_back(answer, [&news] { ++news; });
        answer.begin(std::make_shared<const dataplane::AnswerHead>(wire::ResponseHead{}, "alpha"));
        std::vector<dataplane::Chunk> chunks;
        for (const std::string& event : events) {
            send(state, providers, event);
            std::size_t got = providers[0].read(buffer.data(), buffer.size());
            std::size_t whole = whole_events(splitter, {buffer.data(), got});
            answer.append(std::make_shared<const std::string>(buffer.data(), whole));
            for (std::size_t i = 0; i < kClients; ++i) {
                while (readers[i].take(chunks, 1U << 18) == Broadcast::Take::kChunks) {
                    for (const dataplane::Chunk& chunk : chunks) write_chunk(clients[i], *chunk);
                }
            }
        }
        answer.end(std::make_shared<const dataplane::AnswerEnd>());
        benchmark::DoNotOptimize(news);
        drain(state, clients);
    }
}

BENCHMARK_CAPTURE(path, stream_50_relays, separate_relays);
BENCHMARK_CAPTURE(path, stream_50_readers, shared_call);

}  // namespace
}  // namespace balancer::bench
