#include "base/aead.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <memory>

#include "base/check.hpp"
#include "base/file.hpp"

namespace balancer {
namespace {

const unsigned char* raw(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

struct FreeCipher {
    void operator()(EVP_CIPHER_CTX* cipher) const { EVP_CIPHER_CTX_free(cipher); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

int size_of(std::string_view text) {
    BALANCER_CHECK(text.size() <= kAeadContentBytesMax);
    return static_cast<int>(text.size());
}

}  // namespace

AeadKey::AeadKey(std::string_view raw_key, std::string_view label) : bytes_(raw_key) {
    BALANCER_CHECK(raw_key.size() == kAeadKeyBytes);
    std::string named;
    named.reserve(label.size() + raw_key.size());  // no copy is left behind by growth
    named.append(label).append(raw_key);
    id_ = sha256(named).substr(0, kIdBytes);
    wipe(named);
}

SecretBytes random_key() {
    SecretBytes key(kAeadKeyBytes);
    BALANCER_CHECK(RAND_priv_bytes(key.data(), static_cast<int>(key.size())) == 1);
    return key;
}

std::string aead_seal(
    std::string_view key, std::string_view nonce, std::string_view aad, std::string_view content
) {
    BALANCER_CHECK(key.size() == kAeadKeyBytes && nonce.size() == kAeadNonceBytes);
    Cipher cipher(EVP_CIPHER_CTX_new());
    std::string out(content.size() + kAeadTagBytes, '\0');
    auto* at = reinterpret_cast<unsigned char*>(out.data());
    int count = 0;
    bool good =
        cipher &&
        EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, raw(key), raw(nonce)) == 1 &&
        EVP_EncryptUpdate(cipher.get(), nullptr, &count, raw(aad), size_of(aad)) == 1 &&
        EVP_EncryptUpdate(cipher.get(), at, &count, raw(content), size_of(content)) == 1 &&
        EVP_EncryptFinal_ex(cipher.get(), at + content.size(), &count) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kAeadTagBytes, at + content.size()) == 1;
    BALANCER_CHECK(good);  // only memory can be short, and nothing here runs without
    return out;
}

bool aead_open(
    std::string_view key,
    std::string_view nonce,
    std::string_view aad,
    std::string_view sealed,
    SecretBytes& content
) {
    BALANCER_CHECK(key.size() == kAeadKeyBytes && nonce.size() == kAeadNonceBytes);
    content = SecretBytes();
    if (sealed.size() < kAeadTagBytes || aad.size() > kAeadContentBytesMax ||
        sealed.size() > kAeadContentBytesMax) {
        return false;
    }
    Cipher cipher(EVP_CIPHER_CTX_new());
    std::string tag(sealed.substr(sealed.size() - kAeadTagBytes));
    sealed.remove_suffix(kAeadTagBytes);
    SecretBytes opened(sealed.size());
    int count = 0;
    unsigned char none[kAeadTagBytes];
    bool good =
        cipher &&
        EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, raw(key), raw(nonce)) == 1 &&
        EVP_DecryptUpdate(cipher.get(), nullptr, &count, raw(aad), size_of(aad)) == 1 &&
        EVP_DecryptUpdate(cipher.get(), opened.data(), &count, raw(sealed), size_of(sealed)) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kAeadTagBytes, tag.data()) == 1 &&
        EVP_DecryptFinal_ex(cipher.get(), none, &count) == 1;
    if (good) content = std::move(opened);
    return good;
}

}  // namespace balancer
