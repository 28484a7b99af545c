#include "dataplane/control/lkg_file.hpp"

#include <gtest/gtest.h>

#include "model/protocol.hpp"

namespace balancer::dataplane {
namespace {

const LkgKey& key() {
    static const LkgKey kKey(std::string(LkgKey::kBytes, 'k'));
    return kKey;
}

LkgHeader header() {
    return {"dp1", "store-a", 4, 17, kProtocolMajor, 3, 1'700'000'000'000};
}

std::string sealed(const std::string& content = "three sections") {
    return *seal_lkg(header(), content, key(), std::string(kLkgNonceBytes, 'n'));
}

std::string why(std::string_view file, std::string_view dp_id = "dp1", const LkgKey& k = key()) {
    Result<LkgFile> opened = open_lkg(file, dp_id, k);
    return opened ? "opened" : opened.error().text();
}

TEST(LkgFile, OpensAsItWasSealed) {
    for (const std::string& content :
         {std::string(), std::string("x"), std::string(100'000, 'y')}) {
        Result<LkgFile> opened = open_lkg(sealed(content), "dp1", key());
        ASSERT_TRUE(opened) << opened.error().text();
        EXPECT_EQ(opened->content, content);
        EXPECT_EQ(opened->header.store_uuid, "store-a");
        EXPECT_EQ(opened->header.epoch, 4U);
        EXPECT_EQ(opened->header.seq, 17U);
        EXPECT_EQ(opened->header.generation, 3U);
        EXPECT_EQ(opened->header.saved_at, 1'700'000'000'000);
    }
}

TEST(LkgFile, RefusesEveryChangedBit) {
    const std::string good = sealed();
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
        EXPECT_NE(why(bad), "opened") << "bit " << bit;
    }
    EXPECT_EQ(why(good), "opened");
}

TEST(LkgFile, RefusesEveryTruncationAndEveryByteBehindItsEnd) {
    const std::string good = sealed();
    for (std::size_t size = 0; size < good.size(); ++size) {
        EXPECT_NE(why(good.substr(0, size)), "opened") << size;
    }
    EXPECT_NE(why(good + '\0'), "opened");
    EXPECT_NE(why(good + good), "opened");
}

TEST(LkgFile, RefusesAnotherReplicaAnotherKeyAndAnotherProtocolInWords) {
    EXPECT_NE(why(sealed(), "dp2").find("that of data plane 'dp1'"), std::string::npos);
    LkgKey other(std::string(LkgKey::kBytes, 'o'));
    EXPECT_NE(why(sealed(), "dp1", other).find("another key"), std::string::npos);
    LkgHeader newer = header();
    newer.schema = kProtocolMajor + 1;
    std::string file = *seal_lkg(newer, "content", key(), std::string(kLkgNonceBytes, 'n'));
    EXPECT_NE(why(file).find("protocol"), std::string::npos);
    EXPECT_NE(why("").find("not a last known good"), std::string::npos);
}

TEST(LkgFile, TellsNeitherContentNorKeyAndNeverLooksTheSame) {
    std::string content = "x-api-key: canary-credential";
    std::string one = *seal_lkg(header(), content, key(), std::string(kLkgNonceBytes, '1'));
    std::string two = *seal_lkg(header(), content, key(), std::string(kLkgNonceBytes, '2'));
    EXPECT_EQ(one.find("canary"), std::string::npos);
    EXPECT_EQ(one.find("kkkk"), std::string::npos);
    EXPECT_NE(one.substr(one.size() - 40), two.substr(two.size() - 40));
}

}  // namespace
}  // namespace balancer::dataplane
