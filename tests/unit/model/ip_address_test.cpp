// Addresses and blocks of them, as an operator and as proxies write them.
#include "model/ip_address.hpp"

#include <gtest/gtest.h>

namespace balancer {
namespace {

std::string read(std::string_view text) {
    std::optional<IpAddress> address = IpAddress::parse_with_port(text);
    return address ? address->text() : "none";
}

TEST(IpAddress, IsReadWithAndWithoutAPort) {
    EXPECT_EQ(read("192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(read("192.0.2.1:65535"), "192.0.2.1");
    EXPECT_EQ(read("2001:DB8::1"), "2001:db8::1");
    EXPECT_EQ(read("[2001:db8::1]"), "2001:db8::1");
    EXPECT_EQ(read("[2001:db8::1]:80"), "2001:db8::1");
    EXPECT_EQ(read("::ffff:192.0.2.1"), "192.0.2.1");
    for (std::string_view bad :
         {"", "unknown", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:x", "192.0.2", "192.0.2.256", "[2001:db8::1", "[192.0.2.1]",
          "[2001:db8::1]80", "[2001:db8::1]:x", "2001:db8::1%eth0", "_hidden", "192.0.2.1 ", "1:2:3:4:5:6:7:8:9"}) {
        EXPECT_EQ(read(bad), "none") << bad;
    }
    EXPECT_FALSE(IpAddress::parse(std::string_view("192.0.2.1\0x", 11)));
    EXPECT_FALSE(IpAddress::parse(std::string(100, '1')));
}

bool holds(std::string_view block, std::string_view address) {
    return AddressBlock::parse(block)->contains(*IpAddress::parse(address));
}

TEST(AddressBlock, HoldsWhatBeginsLikeIt) {
    EXPECT_TRUE(holds("10.0.0.0/8", "10.255.0.1"));
    EXPECT_FALSE(holds("10.0.0.0/8", "11.0.0.1"));
    EXPECT_TRUE(holds("10.0.0.128/25", "10.0.0.129"));
    EXPECT_FALSE(holds("10.0.0.128/25", "10.0.0.127"));
    EXPECT_TRUE(holds("10.0.0.7", "10.0.0.7"));
    EXPECT_FALSE(holds("10.0.0.7", "10.0.0.6"));
    EXPECT_TRUE(holds("10.0.0.7", "::ffff:10.0.0.7"));
    EXPECT_TRUE(holds("2001:db8::/33", "2001:db8:7fff::1"));
    EXPECT_FALSE(holds("2001:db8::/33", "2001:db8:8000::1"));
    EXPECT_TRUE(holds("0.0.0.0/0", "203.0.113.9"));
    EXPECT_FALSE(holds("0.0.0.0/0", "2001:db8::1"));
    EXPECT_TRUE(AddressBlock::parse("0.0.0.0/0")->is_all());
    EXPECT_TRUE(AddressBlock::parse("::/0")->is_all());
    EXPECT_FALSE(AddressBlock::parse("0.0.0.0/1")->is_all());
}

TEST(AddressBlock, SaysWhatIsWrong) {
    auto why = [](std::string_view text) { return AddressBlock::parse(text).error().text(); };
    for (std::string_view bad : {"", "/8", "proxy.example", "10.0.0.0:80", "*", "10.0.0.0 /8"}) {
        EXPECT_NE(why(bad).find("is not an address or a block of them"), std::string::npos) << bad;
    }
    for (std::string_view bad : {"10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/255.0.0.0"}) {
        EXPECT_NE(why(bad).find("no length from 0 to 32"), std::string::npos) << bad;
    }
    EXPECT_NE(why("2001:db8::/129").find("no length from 0 to 128"), std::string::npos);
    EXPECT_NE(why("10.1.2.3/8").find("10.0.0.0/8 is that block"), std::string::npos) << why("10.1.2.3/8");
    EXPECT_LT(why(std::string(10'000, 'x')).size(), 300u);
}

}  // namespace
}  // namespace balancer
