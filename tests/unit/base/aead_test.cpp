#include "base/aead.hpp"

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "base/file.hpp"

namespace balancer {
namespace {

std::string opened(
    std::string_view key, std::string_view nonce, std::string_view aad, std::string_view sealed
) {
    SecretBytes content;
    if (!aead_open(key, nonce, aad, sealed, content)) return "refused";
    return std::string(content.view());
}

// McGrew and Viega, The Galois/Counter Mode of Operation, test case 16.
TEST(Aead, IsTheGcmOfTheSpecification) {
    std::string key = *from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    std::string nonce = *from_hex("cafebabefacedbaddecaf888");
    std::string aad = *from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    std::string content = *from_hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
        "b16aedf5aa0de657ba637b39"
    );
    std::string sealed = aead_seal(key, nonce, aad, content);
    EXPECT_EQ(
        to_hex(sealed),
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
        "c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    );
    EXPECT_EQ(opened(key, nonce, aad, sealed), content);
}

TEST(Aead, RefusesEveryOtherKeyNonceDataAndContent) {
    const std::string key(kAeadKeyBytes, 'k');
    const std::string nonce(kAeadNonceBytes, 'n');
    const std::string sealed = aead_seal(key, nonce, "aad", "content");
    EXPECT_EQ(opened(key, nonce, "aad", sealed), "content");
    EXPECT_EQ(opened(std::string(kAeadKeyBytes, 'K'), nonce, "aad", sealed), "refused");
    EXPECT_EQ(opened(key, std::string(kAeadNonceBytes, 'N'), "aad", sealed), "refused");
    EXPECT_EQ(opened(key, nonce, "aae", sealed), "refused");
    for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
        std::string bad = sealed;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
        EXPECT_EQ(opened(key, nonce, "aad", bad), "refused") << bit;
    }
    for (std::size_t size = 0; size < sealed.size(); ++size) {
        EXPECT_EQ(opened(key, nonce, "aad", sealed.substr(0, size)), "refused") << size;
    }
}

TEST(Aead, AKeysIdNamesItForOnePurpose) {
    const std::string raw = "0123456789abcdef0123456789abcdef";
    AeadKey key(raw, "one:");
    EXPECT_EQ(key.id().size(), AeadKey::kIdBytes);
    EXPECT_EQ(key.id(), AeadKey(raw, "one:").id());
    EXPECT_NE(key.id(), AeadKey(raw, "two:").id());
    EXPECT_EQ(key.raw(), raw);
    EXPECT_FALSE(random_key() == random_key());
}

TEST(Bytes, HexIsReadStrictly) {
    EXPECT_EQ(from_hex("00ff7a"), std::string("\0\xff\x7a", 3));
    EXPECT_EQ(from_hex(""), "");
    EXPECT_FALSE(from_hex("0"));
    EXPECT_FALSE(from_hex("0g"));
    EXPECT_FALSE(from_hex("0A"));
}

TEST(Bytes, AReaderNeverGoesBeyondTheEnd) {
    std::string bytes;
    put_number(bytes, std::uint32_t{0x01020304});
    put_name(bytes, "name");
    ByteReader good(bytes);
    EXPECT_EQ(good.number<std::uint32_t>(), 0x01020304u);
    EXPECT_EQ(good.name(), "name");
    EXPECT_FALSE(good.short_of());
    EXPECT_TRUE(good.rest().empty());
    ByteReader cut(std::string_view(bytes).substr(0, bytes.size() - 1));
    cut.number<std::uint32_t>();
    EXPECT_EQ(cut.name(), "");
    EXPECT_TRUE(cut.short_of());
    EXPECT_EQ(cut.number<std::uint64_t>(), 0u);
}

}  // namespace
}  // namespace balancer
