// One file of last known good state: its bytes, and the cipher around them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/aead.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"

namespace balancer::dataplane {

// Made by this data plane, and never sent anywhere.
class LkgKey : public AeadKey {
  public:
    static constexpr std::size_t kBytes = kAeadKeyBytes;

    // `raw` has kBytes.
    explicit LkgKey(std::string_view raw);
};

// Whose file it is, and what it holds. In clear, and authenticated: a file in which any of this has
// been changed does not open.
struct LkgHeader {
    std::string dp_id;
    std::string store_uuid;
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
    std::uint32_t schema = 0;      // the protocol's major, which says what the content means
    std::uint64_t generation = 0;  // grows with each file that a folder gets
    UnixMs saved_at = 0;
};

struct LkgFile {
    LkgHeader header;
    std::string content;
};

inline constexpr std::size_t kLkgNonceBytes = kAeadNonceBytes;

// `nonce` is kLkgNonceBytes random bytes, other ones each time. Fails when a name is longer than
// 65535 bytes or the content longer than 2^31 - 1.
Result<std::string> seal_lkg(
    const LkgHeader& header, std::string_view content, const LkgKey& key, std::string_view nonce
);

// Refused, in words: what is no such file or of another format, another data plane's, sealed with
// another key, cut short, or changed in any bit.
Result<LkgFile> open_lkg(std::string_view file, std::string_view dp_id, const LkgKey& key);

}  // namespace balancer::dataplane
