#include "dataplane/control/lkg_file.hpp"

#include <fmt/format.h>

#include <limits>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "model/protocol.hpp"

namespace balancer::dataplane {
namespace {

// The file: magic, format, schema, key id, generation, epoch, seq, saved_at, data plane, store,
// nonce, size of the content; all of this is the cipher's additional data. Then the content's
// ciphertext and the tag. Numbers are little-endian, names have their length in front.
constexpr std::string_view kMagic = "BALNCLKG";
constexpr std::uint32_t kFormat = 1;

}  // namespace

LkgKey::LkgKey(std::string_view raw_key) : AeadKey(raw_key, "last-known-good key:") {}

Result<std::string> seal_lkg(
    const LkgHeader& header, std::string_view content, const LkgKey& key, std::string_view nonce
) {
    constexpr std::size_t kNameMax = std::numeric_limits<std::uint16_t>::max();
    if (header.dp_id.size() > kNameMax || header.store_uuid.size() > kNameMax ||
        content.size() > kAeadContentBytesMax) {
        return invalid("the state is too large to be kept");
    }
    BALANCER_CHECK(nonce.size() == kLkgNonceBytes);
    std::string file(kMagic);
    put_number(file, kFormat);
    put_number(file, header.schema);
    file.append(key.id());
    put_number(file, header.generation);
    put_number(file, header.epoch);
    put_number(file, header.seq);
    put_number(file, static_cast<std::uint64_t>(header.saved_at));
    put_name(file, header.dp_id);
    put_name(file, header.store_uuid);
    file.append(nonce);
    put_number(file, static_cast<std::uint32_t>(content.size()));
    file += aead_seal(key.raw(), nonce, file, content);
    return file;
}

Result<LkgFile> open_lkg(std::string_view file, std::string_view dp_id, const LkgKey& key) {
    ByteReader reader(file);
    if (reader.bytes(kMagic.size()) != kMagic) return invalid("it is not a last known good state");
    if (auto format = reader.number<std::uint32_t>(); format != kFormat) {
        return invalid(
            fmt::format("it is damaged, or of another release (format {}, not {})", format, kFormat)
        );
    }
    LkgFile out;
    out.header.schema = reader.number<std::uint32_t>();
    std::string_view key_id = reader.bytes(AeadKey::kIdBytes);
    out.header.generation = reader.number<std::uint64_t>();
    out.header.epoch = reader.number<std::uint64_t>();
    out.header.seq = reader.number<std::uint64_t>();
    out.header.saved_at = static_cast<UnixMs>(reader.number<std::uint64_t>());
    out.header.dp_id = std::string(reader.name());
    out.header.store_uuid = std::string(reader.name());
    std::string_view nonce = reader.bytes(kLkgNonceBytes);
    auto size = reader.number<std::uint32_t>();
    if (reader.short_of()) return invalid("it is cut short");
    std::string_view aad = file.substr(0, file.size() - reader.rest().size());
    if (reader.rest().size() != std::size_t{size} + kAeadTagBytes) {
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
    SecretBytes content;
    if (!aead_open(key.raw(), nonce, aad, reader.rest(), content)) {
        return invalid("it is damaged: it is not as it was written");
    }
    out.content = content.view();
    return out;
}

}  // namespace balancer::dataplane
