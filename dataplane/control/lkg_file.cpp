#include "dataplane/control/lkg_file.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <concepts>
#include <limits>
#include <memory>

#include "base/check.hpp"
#include "base/file.hpp"
#include "model/protocol.hpp"

namespace balancer::dataplane {
namespace {

// The file: magic, format, schema, key id, generation, epoch, seq, saved_at, data plane, store,
// nonce, size of the content; all of this is the cipher's additional data. Then the content's
// ciphertext and the tag. Numbers are little-endian, names have their length in front.
constexpr std::string_view kMagic = "BALNCLKG";
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kKeyIdBytes = 8;

template <std::unsigned_integral Number>
void put(std::string& out, Number number) {
    for (std::size_t i = 0; i < sizeof(Number); ++i) {
        out.push_back(static_cast<char>((number >> (8 * i)) & 0xff));
    }
}

void put_name(std::string& out, std::string_view name) {
    put(out, static_cast<std::uint16_t>(name.size()));
    out.append(name);
}

// Takes from the front; once too little was left, everything is empty and `short_of` stays true.
class Reader {
  public:
    explicit Reader(std::string_view rest) : rest_(rest) {}

    std::string_view bytes(std::size_t count) {
        if (count > rest_.size()) {
            short_of_ = true;
            rest_ = {};
            return {};
        }
        std::string_view taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return taken;
    }

    template <std::unsigned_integral Number>
    Number number() {
        Number value = 0;
        std::string_view raw = bytes(sizeof(Number));
        for (std::size_t i = 0; i < raw.size(); ++i) {
            value |= static_cast<Number>(
                static_cast<Number>(static_cast<unsigned char>(raw[i])) << (8 * i)
            );
        }
        return value;
    }

    std::string name() { return std::string(bytes(number<std::uint16_t>())); }

    bool short_of() const { return short_of_; }
    std::string_view rest() const { return rest_; }

  private:
    std::string_view rest_;
    bool short_of_ = false;
};

const unsigned char* raw(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* raw(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

struct FreeCipher {
    void operator()(EVP_CIPHER_CTX* cipher) const { EVP_CIPHER_CTX_free(cipher); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

std::string encrypt(
    std::string_view aad, std::string_view content, const LkgKey& key, std::string_view nonce
) {
    Cipher cipher(EVP_CIPHER_CTX_new());
    std::string out(content.size() + kTagBytes, '\0');
    int count = 0;
    bool good =
        cipher &&
        EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), raw(nonce)) == 1 &&
        EVP_EncryptUpdate(cipher.get(), nullptr, &count, raw(aad), static_cast<int>(aad.size())) ==
            1 &&
        EVP_EncryptUpdate(
            cipher.get(), raw(out), &count, raw(content), static_cast<int>(content.size())
        ) == 1 &&
        EVP_EncryptFinal_ex(cipher.get(), raw(out) + count, &count) == 1 &&
        EVP_CIPHER_CTX_ctrl(
            cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, raw(out) + content.size()
        ) == 1;
    BALANCER_CHECK(good);  // only memory can be short, and nothing here runs without
    return out;
}

// False: not what was sealed with this key and this additional data.
bool decrypt(
    std::string_view aad,
    std::string_view sealed,
    const LkgKey& key,
    std::string_view nonce,
    std::string& content
) {
    Cipher cipher(EVP_CIPHER_CTX_new());
    std::string tag(sealed.substr(sealed.size() - kTagBytes));
    sealed.remove_suffix(kTagBytes);
    content.assign(sealed.size(), '\0');
    int count = 0;
    unsigned char none[kTagBytes];
    return cipher &&
           EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), raw(nonce)) ==
               1 &&
           EVP_DecryptUpdate(
               cipher.get(), nullptr, &count, raw(aad), static_cast<int>(aad.size())
           ) == 1 &&
           EVP_DecryptUpdate(
               cipher.get(), raw(content), &count, raw(sealed), static_cast<int>(sealed.size())
           ) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, raw(tag)) == 1 &&
           EVP_DecryptFinal_ex(cipher.get(), none, &count) == 1;
}

}  // namespace

LkgKey::LkgKey(std::string_view raw_key) {
    BALANCER_CHECK(raw_key.size() == kBytes);
    std::copy(raw_key.begin(), raw_key.end(), bytes_.begin());
    std::string named = "last-known-good key:" + std::string(raw_key);
    id_ = sha256(named).substr(0, kKeyIdBytes);
    OPENSSL_cleanse(named.data(), named.size());
}

LkgKey::~LkgKey() {
    OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

Result<std::string> seal_lkg(
    const LkgHeader& header, std::string_view content, const LkgKey& key, std::string_view nonce
) {
    constexpr std::size_t kNameMax = std::numeric_limits<std::uint16_t>::max();
    if (header.dp_id.size() > kNameMax || header.store_uuid.size() > kNameMax ||
        content.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
        return invalid("the state is too large to be kept");
    }
    BALANCER_CHECK(nonce.size() == kLkgNonceBytes);
    std::string file(kMagic);
    put(file, kFormat);
    put(file, header.schema);
    file.append(key.id());
    put(file, header.generation);
    put(file, header.epoch);
    put(file, header.seq);
    put(file, static_cast<std::uint64_t>(header.saved_at));
    put_name(file, header.dp_id);
    put_name(file, header.store_uuid);
    file.append(nonce);
    put(file, static_cast<std::uint32_t>(content.size()));
    file += encrypt(file, content, key, nonce);
    return file;
}

Result<LkgFile> open_lkg(std::string_view file, std::string_view dp_id, const LkgKey& key) {
    Reader reader(file);
    if (reader.bytes(kMagic.size()) != kMagic) return invalid("it is not a last known good state");
    if (auto format = reader.number<std::uint32_t>(); format != kFormat) {
        return invalid(
            fmt::format("it is damaged, or of another release (format {}, not {})", format, kFormat)
        );
    }
    LkgFile out;
    out.header.schema = reader.number<std::uint32_t>();
    std::string_view key_id = reader.bytes(kKeyIdBytes);
    out.header.generation = reader.number<std::uint64_t>();
    out.header.epoch = reader.number<std::uint64_t>();
    out.header.seq = reader.number<std::uint64_t>();
    out.header.saved_at = static_cast<UnixMs>(reader.number<std::uint64_t>());
    out.header.dp_id = reader.name();
    out.header.store_uuid = reader.name();
    std::string_view nonce = reader.bytes(kLkgNonceBytes);
    auto size = reader.number<std::uint32_t>();
    if (reader.short_of()) return invalid("it is cut short");
    std::string_view aad = file.substr(0, file.size() - reader.rest().size());
    if (reader.rest().size() != std::size_t{size} + kTagBytes) {
        return invalid("it is cut short, or has something behind its end");
    }
    if (out.header.schema != kProtocolMajor) {
        return invalid(
            fmt::format("it speaks protocol {}, this program {}", out.header.schema, kProtocolMajor)
        );
    }
    if (out.header.dp_id != dp_id) {
        return invalid(fmt::format("it is that of data plane '{}'", out.header.dp_id));
    }
    if (key_id != key.id()) return invalid("it was sealed with another key");
    if (!decrypt(aad, reader.rest(), key, nonce, out.content)) {
        return invalid("it is damaged: it is not as it was written");
    }
    return out;
}

}  // namespace balancer::dataplane
