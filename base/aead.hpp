// Sealing: AES-256-GCM with additional data, for what lies on a disk. Not for a request's path.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/secret_bytes.hpp"

namespace balancer {

inline constexpr std::size_t kAeadKeyBytes = 32;
inline constexpr std::size_t kAeadNonceBytes = 12;
inline constexpr std::size_t kAeadTagBytes = 16;
// GCM takes more; the bounds of what we keep are far below this.
inline constexpr std::size_t kAeadContentBytesMax = (std::size_t{1} << 31) - 1;

// A key that lasts, and the id that names it without telling it. Wiped at its end; moves only.
class AeadKey {
  public:
    static constexpr std::size_t kIdBytes = 8;

    // `raw` has kAeadKeyBytes. The id is the front of SHA-256 over `label` (what the key is for) and the key: 8 raw
    // bytes. So it is also what tells a wrong key from the right one.
    AeadKey(std::string_view raw, std::string_view label);

    std::string_view raw() const { return bytes_.view(); }
    const std::string& id() const { return id_; }

  private:
    SecretBytes bytes_;
    std::string id_;
};

// Of OpenSSL's generator.
SecretBytes random_key();

// The ciphertext and its tag: kAeadTagBytes more than `content`, which has at most kAeadContentBytesMax. `key` has
// kAeadKeyBytes, `nonce` kAeadNonceBytes that were never used with that key before: random ones, for up to 2^32
// messages under one key (NIST SP 800-38D, 8.3).
std::string aead_seal(
    std::string_view key, std::string_view nonce, std::string_view aad, std::string_view content
);

// False: not what was sealed with this key, nonce and additional data; `content` is empty then.
[[nodiscard]] bool aead_open(
    std::string_view key,
    std::string_view nonce,
    std::string_view aad,
    std::string_view sealed,
    SecretBytes& content
);

}  // namespace balancer
