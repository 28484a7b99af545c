// Chunked bodies: any split gives the same bytes, and what is written is read again.
#include "dataplane/wire/chunked.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

using wire::ChunkDecoder;

struct Decoded {
    std::string body;
    std::size_t consumed = 0;
    ChunkDecoder::State state = ChunkDecoder::State::kMore;
    bool operator==(const Decoded&) const = default;
};

Decoded decode(std::string_view bytes, std::size_t piece) {
    ChunkDecoder decoder;
    Decoded all;
    for (std::size_t at = 0; at < bytes.size() && all.state == ChunkDecoder::State::kMore;
         at += piece) {
        std::string part(bytes.substr(at, piece));
        ChunkDecoder::Step step = decoder.decode(part.data(), part.size());
        BALANCER_CHECK(step.body <= step.consumed && step.consumed <= part.size());
        BALANCER_CHECK(step.state != ChunkDecoder::State::kMore || step.consumed == part.size());
        all.body.append(part, 0, step.body);
        all.consumed += step.consumed;
        all.state = step.state;
    }
    return all;
}

}  // namespace

void chunked(std::string_view bytes) {
    Decoded whole = decode(bytes, std::max<std::size_t>(bytes.size(), 1));
    for (std::size_t piece : {std::size_t{1}, 1 + bytes.size() % 7}) {
        BALANCER_CHECK(decode(bytes, piece) == whole);
    }
    if (whole.state != ChunkDecoder::State::kDone) return;
    BALANCER_CHECK(bytes.substr(0, whole.consumed).ends_with("\r\n"));

    std::string again(wire::kChunkPrefixMax, '\0');
    again += whole.body;
    std::size_t prefix = 0;
    if (!whole.body.empty()) {
        prefix = wire::write_chunk_prefix(again.data() + wire::kChunkPrefixMax, whole.body.size());
        again += "\r\n";
    }
    again.erase(0, wire::kChunkPrefixMax - prefix);
    again += wire::kLastChunk;
    Decoded reread = decode(again, 1 + bytes.size() % 5);
    BALANCER_CHECK(reread.state == ChunkDecoder::State::kDone);
    BALANCER_CHECK(reread.consumed == again.size() && reread.body == whole.body);
}

}  // namespace balancer::fuzz
