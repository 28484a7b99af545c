#include "controlplane/secrets/envelope.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace balancer::controlplane {
namespace {

const SealingKey& key() {
    static const SealingKey kKey(std::string(kAeadKeyBytes, 'k'));
    return kKey;
}

const SealingKey& other_key() {
    static const SealingKey kKey(std::string(kAeadKeyBytes, 'o'));
    return kKey;
}

SealedPlace place() {
    return {"store-a", SealedKind::kProviderKey, "backup.1", 7};
}

std::string opened(
    std::string_view record, const SealedPlace& where = place(), const SealingKey& with = key()
) {
    Result<SealedParts> parts = parse_sealed(record);
    if (!parts) {
        EXPECT_TRUE(is(parts.error(), SealedErrc::kTampered));
        return "refused: " + parts.error().text();
    }
    Result<SecretBytes> content = open_record(where, *parts, with);
    if (content) return std::string(content->view());
    EXPECT_TRUE(is(content.error(), SealedErrc::kTampered));
    return "refused: " + content.error().text();
}

TEST(Envelope, OpensWhereItWasSealed) {
    for (const std::string& content : {std::string(), std::string("sk-1"), std::string(100'000, 'y')}) {
        EXPECT_EQ(opened(seal_record(place(), content, key())), content);
    }
}

TEST(Envelope, RefusesEveryChangedBit) {
    const std::string good = seal_record(place(), "sk-canary", key());
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
        EXPECT_TRUE(opened(bad).starts_with("refused")) << "bit " << bit;
    }
    EXPECT_EQ(opened(good), "sk-canary");
}

TEST(Envelope, RefusesEveryTruncationAndEveryByteBehindItsEnd) {
    const std::string good = seal_record(place(), "sk-canary", key());
    for (std::size_t size = 0; size < good.size(); ++size) {
        EXPECT_TRUE(opened(good.substr(0, size)).starts_with("refused")) << size;
    }
    EXPECT_TRUE(opened(good + '\0').starts_with("refused"));
    EXPECT_TRUE(opened(good + good).starts_with("refused"));
}

TEST(Envelope, RefusesARecordThatStandsElsewhere) {
    const std::string record = seal_record(place(), "sk-canary", key());
    std::vector<SealedPlace> elsewhere(4, place());
    elsewhere[0].store_uuid = "store-b";
    elsewhere[1].kind = SealedKind::kOAuthAccount;
    elsewhere[2].name = "backup.2";
    elsewhere[3].generation = 8;  // an older content under a newer generation
    // What only moves a byte from one part of the place to the next.
    elsewhere.push_back({"store-", SealedKind::kProviderKey, "abackup.1", 7});
    for (const SealedPlace& where : elsewhere) {
        EXPECT_TRUE(opened(record, where).starts_with("refused")) << where.store_uuid << where.name;
    }
    EXPECT_TRUE(opened(record, place(), other_key()).starts_with("refused"));
}

TEST(Envelope, RefusesPartsOfTwoRecordsPutTogether) {
    const std::string one = seal_record(place(), "one", key());
    const std::string two = seal_record(place(), "two", key());
    constexpr std::size_t kHead = 4 + AeadKey::kIdBytes + kAeadNonceBytes + kAeadKeyBytes + kAeadTagBytes;
    EXPECT_TRUE(opened(one.substr(0, kHead) + two.substr(kHead)).starts_with("refused"));
}

TEST(Envelope, TellsNeitherContentNorKeyAndNeverLooksTheSame) {
    const std::string one = seal_record(place(), "canary-content", key());
    const std::string two = seal_record(place(), "canary-content", key());
    EXPECT_EQ(one.find("canary"), std::string::npos);
    EXPECT_EQ(one.find("kkkk"), std::string::npos);
    EXPECT_EQ(parse_sealed(one)->key_id, key().id());
    EXPECT_NE(parse_sealed(one)->content, parse_sealed(two)->content);
    EXPECT_NE(parse_sealed(one)->wrapped_key, parse_sealed(two)->wrapped_key);
}

TEST(Envelope, RewrapsTheDataKeyOnly) {
    const std::string before = seal_record(place(), "sk-canary", key());
    Result<std::string> after = rewrap_record(place(), before, key(), other_key());
    ASSERT_TRUE(after) << after.error().text();
    EXPECT_EQ(opened(*after, place(), other_key()), "sk-canary");
    EXPECT_TRUE(opened(*after).starts_with("refused"));
    EXPECT_EQ(parse_sealed(*after)->content, parse_sealed(before)->content);
    EXPECT_NE(parse_sealed(*after)->wrapped_key, parse_sealed(before)->wrapped_key);
}

TEST(Envelope, RewrapsNothingThatIsDamaged) {
    const std::string good = seal_record(place(), "sk-canary", key());
    for (std::size_t at = 0; at < good.size(); ++at) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1);
        Result<std::string> after = rewrap_record(place(), bad, key(), other_key());
        ASSERT_FALSE(after) << "byte " << at;
        EXPECT_TRUE(is(after.error(), SealedErrc::kTampered));
    }
}

}  // namespace
}  // namespace balancer::controlplane
