// The chunked transfer coding (RFC 9112 section 7.1): decoded in place, encoded around bytes that lie in a buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace balancer::wire {

// A state machine over any split of the bytes. Strict: sizes are 1 to 15 hex digits, lines end in CR LF, extensions and
// trailers are skipped and bounded.
class ChunkDecoder {
  public:
    enum class State { kMore, kDone, kBad };
    struct Step {
        std::size_t body = 0;      // decoded bytes now at the front of `data`
        std::size_t consumed = 0;  // less than `size` only when done: what follows belongs to nobody
        State state = State::kMore;
    };

    // Decodes data[0, size), moving the body's bytes to its front.
    Step decode(char* data, std::size_t size);

  private:
    enum class Phase { kSize, kExtension, kSizeLf, kData, kDataCr, kDataLf, kTrailer, kTrailerLf, kEnd };

    bool line_byte(char c);

    Phase phase_ = Phase::kSize;
    std::uint64_t left_ = 0;       // of the current chunk's data
    unsigned digits_ = 0;
    std::size_t line_bytes_ = 0;   // of the current extension or all trailers
    bool trailer_line_empty_ = true;
};

// Room that a buffer keeps before and behind the body's bytes for the framing around them.
inline constexpr std::size_t kChunkPrefixMax = 18;  // 16 hex digits and CR LF
inline constexpr std::size_t kChunkSuffixMax = 7;   // CR LF and the last chunk

inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// Writes a chunk's size line so that it ends right before `body`; returns its length.
std::size_t write_chunk_prefix(char* body, std::size_t body_bytes);

}  // namespace balancer::wire
