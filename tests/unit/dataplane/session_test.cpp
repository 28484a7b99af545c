#include <gtest/gtest.h>

#include "dataplane/exchange/intent.hpp"

namespace balancer::dataplane {
namespace {

Session of(wire::HeaderFields headers, wire::BodyFields body, StickyScope scope = StickyScope::kSession) {
    wire::RequestHead head;
    head.fields = std::move(headers);
    return session_of(head, body, scope);
}

wire::BodyFields user(const std::string& id) {
    wire::BodyFields body;
    body.user_id = id;
    return body;
}

TEST(Session, IsTheHeaderThenBothFormsOfTheUserId) {
    Session header = of({{"X-Claude-Code-Session-Id", "s-1"}}, user("other"));
    EXPECT_EQ(header.name, "s-1");
    EXPECT_EQ(of({}, user(R"({"device_id":"d","account_uuid":"","session_id":"s-1"})")).key, header.key);
    EXPECT_EQ(of({}, user("user_abc_account__session_s-1")).key, header.key);
    EXPECT_NE(of({}, user("user_abc_account__session_s-2")).key, header.key);
    EXPECT_EQ(of({}, user("opaque")).name, "opaque");
}

TEST(Session, WithoutANameTheConversationsBeginningIsIt) {
    wire::BodyFields one;
    one.system = "[1]";
    one.first_user_message = "{hello}";
    wire::BodyFields two = one;
    EXPECT_EQ(of({}, one).key, of({}, two).key);
    two.first_user_message = "{bye}";
    EXPECT_NE(of({}, one).key, of({}, two).key);
    EXPECT_EQ(of({}, one).name, "");
}

TEST(Session, OneForAllWhenTheScopeIsGlobal) {
    EXPECT_EQ(of({}, user("a"), StickyScope::kGlobal).key, of({{"x-claude-code-session-id", "b"}}, {}, StickyScope::kGlobal).key);
}

}  // namespace
}  // namespace balancer::dataplane
