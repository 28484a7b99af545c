// An answer of about 200 events on its way to the client: byte for byte, and converted.
//
// "Work" is what the balancer does with the bytes of one read after the other: finds the events and what kind they are, or
// converts them first. "Path" has the sockets too: an event comes, is read, worked at and written as one chunk, as in a live
// stream.
#include <benchmark/benchmark.h>

#include <array>

#include "bench/micro/byte_pipe.hpp"
#include "bench/micro/workload.hpp"
#include "dataplane/wire/chunked.hpp"
#include "dataplane/wire/convert/stream_to_anthropic.hpp"
#include "dataplane/wire/convert/stream_to_openai.hpp"
#include "dataplane/wire/sse.hpp"

namespace balancer::bench {
namespace {

// What relay does with bytes that go to the client (Exchange::whole_events).
class Relay {
  public:
    std::size_t whole_events(std::string_view held) {
        while (auto event = events_.next(held.substr(scanned_))) {
            scanned_ += event->size;
            ended_ = ended_ || event->kind == wire::SseKind::kMessageStop;
        }
        return std::exchange(scanned_, 0);
    }
    bool ended() const { return ended_; }

  private:
    wire::SseSplitter events_;
    std::size_t scanned_ = 0;
    bool ended_ = false;
};

struct Nothing {
    explicit Nothing(wire::convert::JsonReader&) {}
    std::string_view feed(std::string_view bytes) { return bytes; }
};

struct ToAnthropic {
    explicit ToAnthropic(wire::convert::JsonReader& reader) : stream(reader, {"msg_bal_1", "claude-opus-5-5"}) {}
    std::string_view feed(std::string_view bytes) {
        out.clear();
        stream.feed(bytes, out);
        return out;
    }
    wire::convert::StreamToAnthropic stream;
    std::string out;
};

struct ToOpenai {
    explicit ToOpenai(wire::convert::JsonReader& reader) : stream(reader, {"chatcmpl-1", "gpt-5", 1764000000}) {}
    std::string_view feed(std::string_view bytes) {
        out.clear();
        stream.feed(bytes, out);
        return out;
    }
    wire::convert::StreamToOpenai stream;
    std::string out;
};

template <class Filter>
void work_of(benchmark::State& state, const std::vector<std::string>& events) {
    wire::convert::JsonReader reader;
    std::size_t bytes = 0;
    for (auto _ : state) {
        Filter filter(reader);
        Relay relay;
        for (const std::string& event : events) {
            std::size_t whole = relay.whole_events(filter.feed(event));
            bytes += whole;
            benchmark::DoNotOptimize(whole);
        }
    }
    state.counters["bytes_out"] = static_cast<double>(bytes) / static_cast<double>(state.iterations());
}

template <class Filter>
void path_of(benchmark::State& state, const std::vector<std::string>& events) {
    wire::convert::JsonReader reader;
    BytePipe provider;
    BytePipe client;
    std::array<char, 16U << 10> buffer;
    for (auto _ : state) {
        Filter filter(reader);
        Relay relay;
        for (const std::string& event : events) {
            std::array<std::string_view, 1> sent = {event};
            provider.write(sent);  // the provider's part, the same for all
            std::size_t got = provider.read(buffer.data(), buffer.size());
            std::string_view out = filter.feed({buffer.data(), got});
            std::size_t whole = relay.whole_events(out);
            if (whole == 0) continue;
            std::array<char, wire::kChunkPrefixMax> prefix;
            std::size_t prefix_bytes = wire::write_chunk_prefix(prefix.data() + prefix.size(), whole);
            std::array<std::string_view, 3> pieces = {
                std::string_view(prefix.data() + prefix.size() - prefix_bytes, prefix_bytes), out.substr(0, whole), "\r\n"
            };
            client.write(pieces);
        }
        state.PauseTiming();
        client.drain();
        state.ResumeTiming();
    }
}

const std::vector<std::string> kMessages = messages_stream();
const std::vector<std::string> kChat = chat_stream();

using Run = void (*)(benchmark::State&, const std::vector<std::string>&);

// The library's macro takes no template.
void work(benchmark::State& state, Run run, const std::vector<std::string>& events) { run(state, events); }
void path(benchmark::State& state, Run run, const std::vector<std::string>& events) { run(state, events); }

BENCHMARK_CAPTURE(work, stream_byte_exact, work_of<Nothing>, kMessages);
BENCHMARK_CAPTURE(work, stream_to_openai, work_of<ToOpenai>, kMessages);
BENCHMARK_CAPTURE(work, stream_chat_byte_exact, work_of<Nothing>, kChat);
BENCHMARK_CAPTURE(work, stream_to_anthropic, work_of<ToAnthropic>, kChat);
BENCHMARK_CAPTURE(path, stream_byte_exact, path_of<Nothing>, kMessages);
BENCHMARK_CAPTURE(path, stream_to_openai, path_of<ToOpenai>, kMessages);
BENCHMARK_CAPTURE(path, stream_chat_byte_exact, path_of<Nothing>, kChat);
BENCHMARK_CAPTURE(path, stream_to_anthropic, path_of<ToAnthropic>, kChat);

}  // namespace
}  // namespace balancer::bench
