#include "dataplane/wire/beta_headers.hpp"

#include <gtest/gtest.h>

#include "dataplane/wire/upstream_head.hpp"

namespace balancer::wire {
namespace {

// As Claude Code 2.1.330 sends it.
constexpr std::string_view kClaudeCode =
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,per-turn-control-2026-07-01,"
    "advanced-tool-use-2025-11-20,effort-2025-11-24,thinking-display-updates-2026-08-18";

Provider reseller(std::initializer_list<bool Capabilities::*> missing) {
    Provider provider;
    provider.limited = true;
    provider.capabilities = anthropic_capabilities();
    for (auto one : missing) provider.capabilities.*one = false;
    return provider;
}

Provider letting_pass(std::initializer_list<const char*> patterns) {
    Provider provider = reseller({});
    provider.beta_headers.emplace();
    for (const char* pattern : patterns) provider.beta_headers->emplace_back(pattern);
    return provider;
}

TEST(BetaHeaders, ATokenGoesWithItsFieldAndUnknownOnesStay) {
    std::vector<std::string_view> dropped;
    EXPECT_EQ(
        filter_betas("new-thing-2027,context-management-2025-06-27, effort-2025-11-24", reseller({&Capabilities::context_management}), &dropped),
        "new-thing-2027,effort-2025-11-24"
    );
    EXPECT_EQ(dropped, std::vector<std::string_view>{"context-management-2025-06-27"});
    EXPECT_EQ(filter_betas("a ,,\tb", reseller({&Capabilities::thinking})), "a ,,\tb") << "untouched where nothing goes";
    EXPECT_EQ(filter_betas("interleaved-thinking-2025-05-14", reseller({&Capabilities::thinking})), "");
    EXPECT_EQ(
        filter_betas("prompt-caching-scope-2026-01-05,prompt-caching-2024-07-31", reseller({&Capabilities::cache_scope})),
        "prompt-caching-2024-07-31"
    );
}

TEST(BetaHeaders, AListSaysWhatPassesAndTakesTheFieldsAlong) {
    Provider provider = letting_pass({"claude-code-*", "interleaved-thinking-2025-05-14"});
    EXPECT_EQ(filter_betas(kClaudeCode, provider), "claude-code-20250219,interleaved-thinking-2025-05-14");
    HeaderFields client = {{"anthropic-beta", kClaudeCode}};
    Capabilities takes = takes_of_request(client, provider);
    EXPECT_FALSE(takes.context_management);
    EXPECT_FALSE(takes.effort);
    EXPECT_FALSE(takes.turn_control);
    EXPECT_FALSE(takes.advanced_tools);
    EXPECT_FALSE(takes.thinking_display);
    EXPECT_TRUE(takes.thinking);
    EXPECT_TRUE(takes.cache_control);
    // Without its token a field is not a beta's: the provider's table alone counts.
    EXPECT_EQ(takes_of_request({}, provider), anthropic_capabilities());
    EXPECT_TRUE(takes_of_request({{"Anthropic-Beta", "interleaved-thinking-2026-01-01"}}, provider).thinking)
        << "thinking itself needs no token";
    EXPECT_EQ(filter_betas(kClaudeCode, letting_pass({})), "");
    EXPECT_EQ(filter_betas(kClaudeCode, letting_pass({"*"})), kClaudeCode);
}

TEST(BetaHeaders, TheHeadHasWhatIsLeft) {
    Provider provider = reseller({&Capabilities::effort});
    provider.endpoint = *parse_base_url("https://api.example.com");
    auto head_for = [&](const std::string& lines) {
        std::string text = "POST /v1/messages HTTP/1.1\r\nHost: b\r\n" + lines + "\r\n";
        RequestHead head = *parse_request_head(text);
        std::string out;
        append_upstream_head(out, {head, provider, 1, {}});
        return out;
    };
    EXPECT_NE(head_for("Anthropic-Beta: effort-1, x\r\nanthropic-beta: y\r\n").find("Anthropic-Beta: x\r\nanthropic-beta: y\r\n"),
              std::string::npos);
    EXPECT_EQ(head_for("anthropic-beta: effort-1\r\n").find("anthropic-beta"), std::string::npos);
    provider.limited = false;
    EXPECT_NE(head_for("anthropic-beta: effort-1 ,x\r\n").find("anthropic-beta: effort-1 ,x\r\n"), std::string::npos);
}

}  // namespace
}  // namespace balancer::wire
