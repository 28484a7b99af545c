#include "dataplane/wire/chunked.hpp"

#include <algorithm>
#include <cstring>

namespace balancer::wire {
namespace {

constexpr std::size_t kLineBytesMax = 16384;

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

// One byte outside of chunk data. False: malformed.
bool ChunkDecoder::line_byte(char c) {
    switch (phase_) {
        case Phase::kSize: {
            int digit = hex_value(c);
            if (digit >= 0) {
                if (++digits_ > 15) return false;
                left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
                return true;
            }
            if (digits_ == 0 || (c != '\r' && c != ';')) return false;
            phase_ = c == '\r' ? Phase::kSizeLf : Phase::kExtension;
            line_bytes_ = 0;
            return true;
        }
        case Phase::kExtension:
            if (c == '\n' || c == '\0' || ++line_bytes_ > kLineBytesMax) return false;
            if (c == '\r') phase_ = Phase::kSizeLf;
            return true;
        case Phase::kSizeLf:
            if (c != '\n') return false;
            phase_ = left_ > 0 ? Phase::kData : Phase::kTrailer;
            trailer_line_empty_ = true;
            line_bytes_ = 0;
            return true;
        case Phase::kDataCr:
            phase_ = Phase::kDataLf;
            return c == '\r';
        case Phase::kDataLf:
            phase_ = Phase::kSize;
            digits_ = 0;
            return c == '\n';
        case Phase::kTrailer:
            if (c == '\n' || c == '\0' || ++line_bytes_ > kLineBytesMax) return false;
            if (c == '\r') {
                phase_ = Phase::kTrailerLf;
            } else {
                trailer_line_empty_ = false;
            }
            return true;
        case Phase::kTrailerLf:
            if (c != '\n') return false;
            phase_ = trailer_line_empty_ ? Phase::kEnd : Phase::kTrailer;
            trailer_line_empty_ = true;
            return true;
        case Phase::kData:
        case Phase::kEnd: break;
    }
    return false;
}

ChunkDecoder::Step ChunkDecoder::decode(char* data, std::size_t size) {
    Step step;
    while (step.consumed < size && phase_ != Phase::kEnd) {
        if (phase_ != Phase::kData) {
            if (!line_byte(data[step.consumed])) {
                step.state = State::kBad;
                return step;
            }
            ++step.consumed;
            continue;
        }
        std::size_t take = static_cast<std::size_t>(
            std::min<std::uint64_t>(left_, size - step.consumed)
        );
        if (step.body != step.consumed) std::memmove(data + step.body, data + step.consumed, take);
        step.body += take;
        step.consumed += take;
        left_ -= take;
        if (left_ == 0) phase_ = Phase::kDataCr;
    }
    if (phase_ == Phase::kEnd) step.state = State::kDone;
    return step;
}

std::size_t write_chunk_prefix(char* body, std::size_t body_bytes) {
    char* at = body;
    *--at = '\n';
    *--at = '\r';
    do {
        *--at = "0123456789abcdef"[body_bytes & 15];
        body_bytes >>= 4;
    } while (body_bytes > 0);
    return static_cast<std::size_t>(body - at);
}

}  // namespace balancer::wire
