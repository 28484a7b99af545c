// What answers tell of an account's windows.
#include "dataplane/exchange/account_use.hpp"

#include <gtest/gtest.h>

#include "model/from_proto.hpp"

namespace balancer::dataplane {
namespace {

wire::ResponseHead head_with(const std::string& lines) {
    static std::string text;
    text = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n" + lines + "\r\n";
    return *wire::parse_response_head(text, wire::ResponseTo::kOther);
}

TEST(AccountUse, IsReadFromTheHeadersThatThereAre) {
    AccountUse use = read_account_use(head_with(
        "Anthropic-Ratelimit-Unified-Status: allowed_warning\r\n"
        "anthropic-ratelimit-unified-representative-claim: seven_day\r\nanthropic-ratelimit-unified-reset: 1800000000\r\n"
        "anthropic-ratelimit-unified-5h-utilization: 0.25\r\nanthropic-ratelimit-unified-5h-reset: 1700000000\r\n"
        "anthropic-ratelimit-unified-7d-utilization: 0.9\r\n"
    ));
    EXPECT_EQ(use.status, "allowed_warning");
    EXPECT_EQ(use.claim, "seven_day");
    EXPECT_EQ(use.reset, 1'800'000'000'000);
    EXPECT_EQ(use.five_hour, 0.25);
    EXPECT_EQ(use.five_hour_reset, 1'700'000'000'000);
    EXPECT_EQ(use.seven_day, 0.9);
    EXPECT_EQ(use.seven_day_reset, 0);
}

// One report that cannot be sent would hold up all behind it.
TEST(AccountUse, WordsOfAProviderAreFitForAReport) {
    AttemptOutcome outcome;
    outcome.account_use = read_account_use(head_with(
        "anthropic-ratelimit-unified-status: allow\xff\r\nanthropic-ratelimit-unified-representative-claim: \xc3\r\n"
    ));
    v1::Signal signal = to_signal(outcome);
    EXPECT_EQ(signal.account_use().status(), "allow\xef\xbf\xbd");
    EXPECT_EQ(signal.account_use().claim(), "\xef\xbf\xbd");
}

TEST(AccountUse, WhatIsNoNumberIsLeftOut) {
    EXPECT_EQ(read_account_use(head_with("")).status, "");
    EXPECT_EQ(read_account_use(head_with("anthropic-ratelimit-unified-5h-utilization: 0.5\r\n")).status, "");
    for (const char* value : {"", "half", "-1", "nan", "inf", "1e999", "0.5 "}) {
        AccountUse use = read_account_use(head_with(
            std::string("anthropic-ratelimit-unified-status: allowed\r\nanthropic-ratelimit-unified-reset: 1e300\r\n") +
            "anthropic-ratelimit-unified-5h-utilization: " + value + "x\r\n"
        ));
        EXPECT_EQ(use.status, "allowed");
        EXPECT_FALSE(use.five_hour) << value;
        EXPECT_EQ(use.reset, 0);
    }
}

TEST(AccountUse, IsNewsWhenItHasMoved) {
    AccountUseNews news;
    AccountUse use;
    EXPECT_FALSE(news.is_news(ProviderSlot(3), use)) << "nothing was told";
    use.status = "allowed";
    use.five_hour = 0.10;
    EXPECT_TRUE(news.is_news(ProviderSlot(3), use));
    EXPECT_FALSE(news.is_news(ProviderSlot(3), use));
    EXPECT_TRUE(news.is_news(ProviderSlot(7), use)) << "another account";
    use.five_hour = 0.105;
    EXPECT_FALSE(news.is_news(ProviderSlot(3), use));
    use.five_hour = 0.115;
    EXPECT_TRUE(news.is_news(ProviderSlot(3), use));
    use.reset = 5;
    EXPECT_TRUE(news.is_news(ProviderSlot(3), use));
    use.status = "rejected";
    EXPECT_TRUE(news.is_news(ProviderSlot(3), use));
}

}  // namespace
}  // namespace balancer::dataplane
