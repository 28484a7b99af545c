// A request of about 100 KB on its way to a provider: byte for byte, and converted.
//
// "Work" is what the balancer does with the bytes: one scan and the splice, or that scan and the conversion. "Path" has the
// sockets too: reads the body, works, writes head and body, as an exchange does.
#include <benchmark/benchmark.h>

#include <array>

#include "bench/micro/byte_pipe.hpp"
#include "bench/micro/workload.hpp"
#include "dataplane/coalesce/claim_table.hpp"
#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/convert/foreign_thinking.hpp"
#include "dataplane/wire/convert/request_to_anthropic.hpp"
#include "dataplane/wire/convert/request_to_openai.hpp"
#include "dataplane/wire/signature.hpp"

namespace balancer::bench {
namespace {

// Where a worker keeps what one request after the other uses.
struct Worker {
    wire::BodyScanner scanner;
    wire::convert::JsonReader reader;
    dataplane::ClaimTable claims;
    wire::SignatureSecret secret;
    wire::Signer signer{secret};
};

using Pieces = std::vector<std::string_view>;

// What outlives the call: the pieces point into it.
struct Prepared {
    std::string model;
    std::string converted;
    Pieces pieces;
};

void byte_exact(Worker& worker, std::string_view body, Prepared& out) {
    auto fields = worker.scanner.scan(body);
    // In a fleet with providers of both types, which is when conversions happen at all.
    benchmark::DoNotOptimize(wire::convert::may_hold_marked_thinking(body));
    out.pieces = wire::splice_body(body, wire::edits_of(*fields, "claude-sonnet-4-5", out.model));
}

// The same, and what it costs to find out that nobody else asks this now.
void byte_exact_signed(Worker& worker, std::string_view body, Prepared& out) {
    static const auto head = wire::parse_request_head(
        "POST /v1/messages?beta=true HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer key\r\n"
        "anthropic-version: 2023-06-01\r\nanthropic-beta: one,two\r\nContent-Length: 1\r\n\r\n"
    );
    auto fields = worker.scanner.scan(body);
    wire::Signature signature = worker.signer.sign(*head, *fields, wire::MaxTokens::kLeftOut);
    benchmark::DoNotOptimize(worker.claims.claim(signature, 0));
    benchmark::DoNotOptimize(wire::convert::may_hold_marked_thinking(body));
    out.pieces = wire::splice_body(body, wire::edits_of(*fields, "claude-sonnet-4-5", out.model));
    worker.claims.give_back(signature, 0);
}

void to_openai(Worker& worker, std::string_view body, Prepared& out) {
    auto fields = worker.scanner.scan(body);
    wire::convert::ToOpenaiOptions options;
    options.model = "gpt-5";
    options.stream = fields->stream;
    auto done = wire::convert::request_to_openai(worker.reader, body, options, out.converted);
    benchmark::DoNotOptimize(done);
    out.pieces = {out.converted};
}

void to_anthropic(Worker& worker, std::string_view body, Prepared& out) {
    auto fields = worker.scanner.scan(body);
    auto done = wire::convert::request_to_anthropic(worker.reader, body, {"claude-sonnet-4-5", fields->stream}, out.converted);
    benchmark::DoNotOptimize(done);
    out.pieces = {out.converted};
}

using Prepare = void (*)(Worker&, std::string_view, Prepared&);

void work(benchmark::State& state, Prepare prepare, const std::string& body) {
    Worker worker;
    for (auto _ : state) {
        Prepared prepared;  // each request has its own, as an exchange has
        prepare(worker, body, prepared);
        benchmark::DoNotOptimize(prepared.pieces.data());
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * body.size()));
}

void path(benchmark::State& state, Prepare prepare, const std::string& body) {
    Worker worker;
    BytePipe client;
    BytePipe provider;
    const std::string head(900, 'h');  // Claude Code's heads are about this long
    std::array<std::string_view, 1> whole = {body};
    for (auto _ : state) {
        state.PauseTiming();
        provider.drain();
        client.write(whole);
        state.ResumeTiming();
        std::string received;
        received.resize(body.size() + wire::kBodyPadding);
        std::size_t have = 0;
        while (have < body.size()) have += client.read(received.data() + have, body.size() - have);
        Prepared prepared;
        prepare(worker, std::string_view(received).substr(0, body.size()), prepared);
        prepared.pieces.insert(prepared.pieces.begin(), head);
        provider.write(prepared.pieces);
    }
}

const std::string kMessages = messages_request();
const std::string kChat = chat_request();

BENCHMARK_CAPTURE(work, request_byte_exact, byte_exact, kMessages);
BENCHMARK_CAPTURE(work, request_signed, byte_exact_signed, kMessages);
BENCHMARK_CAPTURE(work, request_to_openai, to_openai, kMessages);
BENCHMARK_CAPTURE(work, request_chat_byte_exact, byte_exact, kChat);
BENCHMARK_CAPTURE(work, request_to_anthropic, to_anthropic, kChat);
BENCHMARK_CAPTURE(path, request_byte_exact, byte_exact, kMessages);
BENCHMARK_CAPTURE(path, request_signed, byte_exact_signed, kMessages);
BENCHMARK_CAPTURE(path, request_to_openai, to_openai, kMessages);
BENCHMARK_CAPTURE(path, request_chat_byte_exact, byte_exact, kChat);
BENCHMARK_CAPTURE(path, request_to_anthropic, to_anthropic, kChat);

}  // namespace
}  // namespace balancer::bench
