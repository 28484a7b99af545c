// Whom a peer may speak for.
#include "dataplane/wire/forwarded.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace balancer::wire {
namespace {

std::string client(std::string_view peer, const HeaderFields& fields) {
    std::vector<AddressBlock> trusted = {*AddressBlock::parse("10.0.0.0/8"), *AddressBlock::parse("2001:db8::/32")};
    return client_address(peer, fields, trusted);
}

TEST(ClientAddress, IsThePeersUnlessThePeerIsTrusted) {
    HeaderFields lie = {{"X-Forwarded-For", "203.0.113.9"}};
    EXPECT_EQ(client("198.51.100.7:4711", lie), "198.51.100.7:4711");
    EXPECT_EQ(client_address("10.0.0.1:4711", lie, {}), "10.0.0.1:4711");
    EXPECT_EQ(client("10.0.0.1:4711", lie), "203.0.113.9");
    EXPECT_EQ(client("[2001:db8::1]:4711", lie), "203.0.113.9");
    EXPECT_EQ(client("10.0.0.1:4711", {}), "10.0.0.1:4711");
    EXPECT_EQ(client("10.0.0.1:4711", {{"forwarded", "for=203.0.113.9"}, {"x-real-ip", "203.0.113.9"}}), "10.0.0.1:4711");
}

TEST(ClientAddress, IsTheLastThatIsNotTrusted) {
    EXPECT_EQ(client("10.0.0.1:1", {{"x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.2"}}), "203.0.113.9");
    EXPECT_EQ(client("10.0.0.1:1", {{"x-forwarded-for", "6.6.6.6"}, {"x-forwarded-for", "203.0.113.9,10.0.0.2"}}), "203.0.113.9");
    EXPECT_EQ(client("10.0.0.1:1", {{"x-forwarded-for", "6.6.6.6,203.0.113.9"}, {"X-FORWARDED-FOR", "10.0.0.2"}}), "203.0.113.9");
    EXPECT_EQ(client("10.0.0.1:1", {{"x-forwarded-for", "\t[2a00::7]:80 "}}), "2a00::7");
    EXPECT_EQ(client("10.0.0.1:1", {{"x-forwarded-for", "10.0.0.3, 10.0.0.2"}}), "10.0.0.3") << "all are trusted";
}

TEST(ClientAddress, BelievesNothingBehindWhatItCannotRead) {
    EXPECT_EQ(client("10.0.0.1:1", {{"x-forwarded-for", "203.0.113.9, unknown"}}), "10.0.0.1:1");
    EXPECT_EQ(client("10.0.0.1:1", {{"x-forwarded-for", "203.0.113.9, unknown, 10.0.0.2"}}), "10.0.0.2");
    EXPECT_EQ(client("10.0.0.1:1", {{"x-forwarded-for", ""}}), "10.0.0.1:1");
    EXPECT_EQ(client("10.0.0.1:1", {{"x-forwarded-for", ",,"}}), "10.0.0.1:1");
    std::string many = "203.0.113.9";
    for (int i = 0; i < 10'000; ++i) many += ",10.0.0.2";
    EXPECT_EQ(client("10.0.0.1:1", {{"x-forwarded-for", many}}), "10.0.0.2") << "no end of hops";
}

TEST(TellsOfClient, KnowsTheHeadersByName) {
    for (std::string_view name :
         {"X-Forwarded-For", "x-forwarded-proto", "x-forwarded-anything", "Forwarded", "X-REAL-IP", "Via", "true-client-ip"}) {
        EXPECT_TRUE(tells_of_client(name)) << name;
    }
    for (std::string_view name : {"x-forwarded-", "x-forwarded", "forwarded-for", "x-claude-code-session-id", "viable"}) {
        EXPECT_FALSE(tells_of_client(name)) << name;
    }
}

}  // namespace
}  // namespace balancer::wire
