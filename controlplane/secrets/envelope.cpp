#include "controlplane/secrets/envelope.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/file.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::string_view kMagic = "BSR";
constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kWrappedBytes = kAeadKeyBytes + kAeadTagBytes;

Error tampered(const SealedPlace& place, std::string_view why) {
    return sealed_error(
        SealedErrc::kTampered,
        fmt::format("sealed {} '{}' cannot be used: {}", name_of(place.kind), place.name, why)
    );
}

// `use` keeps the two ciphers' additional data apart.
std::string additional_data(const SealedPlace& place, std::string_view use) {
    std::string data;
    put_name(data, use);
    put_number(data, kFormat);
    put_name(data, place.store_uuid);
    put_name(data, name_of(place.kind));
    put_name(data, place.name);
    put_number(data, place.generation);
    return data;
}

std::string wrap_data(const SealedPlace& place, std::string_view key_id) {
    std::string data = additional_data(place, "data key");
    data.append(key_id);
    return data;
}

// Up to the wrapped key.
std::string head_of(const SealedPlace& place, std::string_view data_key, const SealingKey& key) {
    std::string nonce = random_bytes(kAeadNonceBytes);
    std::string head(kMagic);
    put_number(head, kFormat);
    head += key.id();
    head += nonce;
    head += aead_seal(key.raw(), nonce, wrap_data(place, key.id()), data_key);
    return head;
}

Result<SecretBytes> unwrap(const SealedPlace& place, const SealedParts& parts, const SealingKey& key) {
    SecretBytes data_key;
    if (parts.key_id != key.id() ||
        !aead_open(key.raw(), parts.wrap_nonce, wrap_data(place, key.id()), parts.wrapped_key, data_key)) {
        return tampered(place, "it is not as it was written there");
    }
    return data_key;
}

Result<SecretBytes> open_content(
    const SealedPlace& place, const SealedParts& parts, const SecretBytes& data_key
) {
    SecretBytes content;
    if (!aead_open(data_key.view(), parts.nonce, additional_data(place, "content"), parts.content, content)) {
        return tampered(place, "its content is not as it was written");
    }
    return content;
}

}  // namespace

std::string seal_record(const SealedPlace& place, std::string_view content, const SealingKey& key) {
    SecretBytes data_key = random_key();
    std::string nonce = random_bytes(kAeadNonceBytes);
    std::string record = head_of(place, data_key.view(), key);
    record += nonce;
    put_number(record, static_cast<std::uint32_t>(content.size()));
    record += aead_seal(data_key.view(), nonce, additional_data(place, "content"), content);
    return record;
}

Result<SealedParts> parse_sealed(std::string_view record) {
    auto refused = [](std::string why) { return sealed_error(SealedErrc::kTampered, std::move(why)); };
    ByteReader reader(record);
    if (reader.bytes(kMagic.size()) != kMagic) return refused("it is no sealed record");
    if (auto format = reader.number<std::uint8_t>(); format != kFormat) {
        return refused(
            fmt::format("it is damaged, or of another release (format {}, not {})", format, kFormat)
        );
    }
    SealedParts parts;
    parts.key_id = reader.bytes(AeadKey::kIdBytes);
    parts.wrap_nonce = reader.bytes(kAeadNonceBytes);
    parts.wrapped_key = reader.bytes(kWrappedBytes);
    parts.nonce = reader.bytes(kAeadNonceBytes);
    auto size = reader.number<std::uint32_t>();
    if (reader.short_of()) return refused("it is cut short");
    if (size > SealedStore::kContentBytesMax || reader.rest().size() != std::size_t{size} + kAeadTagBytes) {
        return refused("it is cut short, or has something behind its end");
    }
    parts.content = reader.rest();
    return parts;
}

Result<SecretBytes> open_record(const SealedPlace& place, const SealedParts& parts, const SealingKey& key) {
    Result<SecretBytes> data_key = unwrap(place, parts, key);
    if (!data_key) return data_key.error();
    return open_content(place, parts, *data_key);
}

Result<std::string> rewrap_record(
    const SealedPlace& place, std::string_view record, const SealingKey& from, const SealingKey& to
) {
    Result<SealedParts> parts = parse_sealed(record);
    if (!parts) return parts.error();
    Result<SecretBytes> data_key = unwrap(place, *parts, from);
    if (!data_key) return data_key.error();
    Result<SecretBytes> content = open_content(place, *parts, *data_key);
    if (!content) return content.error();
    std::string again = head_of(place, data_key->view(), to);
    again += record.substr(again.size());
    return again;
}

}  // namespace balancer::controlplane
