#include "base/secret_bytes.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

#include "base/file.hpp"

namespace balancer {

void wipe(std::string& secret) {
    // The whole capacity: a longer text may have stood there before.
    secret.resize(secret.capacity());
    OPENSSL_cleanse(secret.data(), secret.size());
    secret.clear();
}

SecretBytes::SecretBytes(std::string_view bytes) : SecretBytes(bytes.size()) {
    std::copy(bytes.begin(), bytes.end(), bytes_.get());
}

SecretBytes::SecretBytes(std::size_t size) : bytes_(std::make_unique<char[]>(size)), size_(size) {}

SecretBytes::~SecretBytes() {
    if (bytes_) OPENSSL_cleanse(bytes_.get(), size_);
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    return *this;
}

bool operator==(const SecretBytes& a, const SecretBytes& b) {
    return equal_in_constant_time(a.view(), b.view());
}

}  // namespace balancer
