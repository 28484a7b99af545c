// Providers of type openai that answer badly, and those of both types that cannot take a request.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/scenario/mixed_types.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"
#include "tests/support/openai_dialect.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;
using How = Break::How;
using After = Break::After;

constexpr const char* kPatient =
    "  timeouts:\n"
    "    non_streaming: {connect_timeout: 60, read_timeout: 60, pool_timeout: 60}\n";

// A request that providers of type openai do not take.
std::string with_document() {
    json body = json::parse(claude_code_body(unstreamed()));
    body["messages"].back()["content"] = json::array(
        {{{"type", "document"}, {"source", {{"type", "base64"}, {"media_type", "application/pdf"}, {"data", "JVBERi0="}}}}}
    );
    return post_request("", body.dump());
}

json error_of(const RawResponse& answer) {
    json body = json::parse(answer.body, nullptr, false);
    EXPECT_TRUE(body.is_object()) << answer.body;
    return body.is_object() ? body.value("error", json::object()) : json::object();
}

TEST(OpenaiIncapable, ACapableProviderThatIsBusyIsWaitedFor) {
    Step slow;
    slow.delay = std::chrono::milliseconds(600);
    FakeProvider anthropic(script_of({slow, Step{}}));
    FakeProvider other;
    Fleet fleet(
        yaml_of(
            {{"anthropic", anthropic.base_url(), "    max_concurrency: 1\n"}, openai_provider("other", other)}, {}, kPatient
        ),
        {1, 1}
    );
    Result<RawClient> held = RawClient::connect(fleet.port());
    ASSERT_TRUE(held);
    ASSERT_TRUE(held->send(claude_code_request(in_session("held"))));
    ASSERT_TRUE(anthropic.wait_for_requests(1));
    RawResponse answer = exchange_raw(fleet.port(), with_document());
    EXPECT_EQ(answer.status, 200u) << answer.body;
    EXPECT_EQ(answer.header("x-provider-used"), "anthropic");
    EXPECT_EQ(anthropic.connection_count(), 1u) << "both were asked at once";
    EXPECT_EQ(other.request_count(), 0u);
    ASSERT_TRUE(held->read_response());
}

TEST(OpenaiIncapable, TheWaitForItEndsWithThePoolTimeout) {
    FakeProvider anthropic(script_of({break_step(How::kHang, After::kHeadBytes, 0), Step{}}));
    FakeProvider other;
    Fleet fleet(yaml_of(
        {{"anthropic", anthropic.base_url(), "    max_concurrency: 1\n"}, openai_provider("other", other)},
        {},
        "  timeouts:\n    non_streaming: {pool_timeout: 0.3, read_timeout: 60}\n"
    ));
    Result<RawClient> held = RawClient::connect(fleet.port());
    ASSERT_TRUE(held);
    ASSERT_TRUE(held->send(claude_code_request(in_session("held"))));
    ASSERT_TRUE(anthropic.wait_for_requests(1));
    RawResponse answer = exchange_raw(fleet.port(), with_document());
    EXPECT_EQ(answer.status, 503u) << answer.body;
    EXPECT_FALSE(answer.header("retry-after").empty());
    EXPECT_NE(answer.body.find("1 requests in flight already"), std::string::npos) << answer.body;
}

TEST(OpenaiIncapable, ACapableProviderThatIsBenchedComesBack) {
    FakeProvider anthropic(script_of({status_step(500)}));
    FakeProvider other;
    std::string yaml = yaml_of({{"anthropic", anthropic.base_url()}, openai_provider("other", other)});
    std::size_t at = yaml.find("unhealthy_threshold: 1000");
    ASSERT_NE(at, std::string::npos);
    yaml.replace(at, 25, "unhealthy_threshold: 1");
    Fleet fleet(yaml);
    fleet.ask(in_session("first"));
    RawResponse answer;
    ASSERT_TRUE(Fleet::eventually([&] {
        answer = exchange_raw(fleet.port(), with_document());
        return answer.body.find("No provider can serve") != std::string::npos;
    })) << answer.body;
    EXPECT_EQ(answer.status, 503u);
    EXPECT_NE(answer.body.find("anthropic"), std::string::npos) << answer.body;
    EXPECT_FALSE(answer.header("retry-after").empty());
}

class OpenaiFaults : public testing::Test {
  protected:
    FakeProvider provider_;
    Fleet fleet_{yaml_of({openai_provider("other", provider_)})};
};

TEST_F(OpenaiFaults, AnErrorWithoutABodyHasWordsAndTypeAllTheSame) {
    Step step = status_step(503, {{"retry-after", "3"}});
    step.body = "";
    provider_.set_script(script_of({step}));
    for (bool stream : {false, true}) {
        RawResponse answer = fleet_.ask(in_session("s", stream));
        EXPECT_EQ(answer.status, 529u);
        EXPECT_EQ(answer.header("content-type"), "application/json");
        EXPECT_EQ(answer.header("retry-after"), "3");
        EXPECT_EQ(error_of(answer)["type"], "overloaded_error");
        EXPECT_NE(error_of(answer)["message"], "");
    }
    Step empty;
    empty.body = "";
    provider_.set_script(script_of({empty}));
    RawResponse answer = fleet_.ask(in_session("empty"));
    EXPECT_GE(answer.status, 500u) << "an empty success is none";
    EXPECT_FALSE(error_of(answer).empty());
}

TEST_F(OpenaiFaults, ACompressedErrorIsToldInPlainWords) {
    Step step = status_step(429, {{"content-encoding", "gzip"}, {"retry-after", "3"}});
    step.body = std::string("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 10) + "compressed";
    provider_.set_script(script_of({step}));
    RawResponse answer = fleet_.ask(unstreamed());
    EXPECT_EQ(answer.status, 429u);
    EXPECT_EQ(answer.header("content-encoding"), "");
    EXPECT_EQ(error_of(answer)["type"], "rate_limit_error");
    EXPECT_EQ(answer.body.find("compressed"), std::string::npos) << answer.body;
}

TEST_F(OpenaiFaults, AHugeErrorIsNotHeld) {
    Step step = status_step(400);
    step.body = R"({"error":{"message":")" + std::string(4U << 20, 'x') + R"("}})";
    provider_.set_script(script_of({step}));
    RawResponse answer = fleet_.ask(unstreamed());
    EXPECT_EQ(answer.status, 400u);
    EXPECT_EQ(error_of(answer)["type"], "invalid_request_error");
    EXPECT_LT(answer.body.size(), 300U << 10);
}

TEST_F(OpenaiFaults, TheWordsBehindAGatewayMakeClaudeCodeCompact) {
    Step step = status_step(400);
    step.body =
        R"({"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"The input token count (134123) exceeds the maximum number of tokens allowed (131072).\"}}"}}})";
    provider_.set_script(script_of({step}));
    RawResponse answer = fleet_.ask(unstreamed());
    EXPECT_EQ(answer.status, 400u);
    EXPECT_EQ(error_of(answer)["message"], "prompt is too long: 134123 tokens > 131072 maximum");
}

// Nothing is missing but [DONE]: an error event would make the client pay for the same answer twice.
TEST_F(OpenaiFaults, AStreamThatIsLostBehindItsReasonIsWhole) {
    Step step = break_step(How::kClose, After::kEvents, 2);
    step.events = std::vector<StreamEvent>{
        {"data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n"},
        {"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", std::chrono::milliseconds(50)},
        {"data: [DONE]\n\n"},
    };
    provider_.set_script(script_of({step}));
    RawResponse answer = fleet_.ask(in_session("s", true));
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    EXPECT_TRUE(event_names(answer.body).ends_with("message_delta message_stop")) << event_names(answer.body);
    RawResponse gathered = fleet_.ask(in_session("t"));
    EXPECT_EQ(gathered.status, 200u) << gathered.body;
    EXPECT_EQ(json::parse(gathered.body)["content"][0]["text"], "Hi");
    EXPECT_EQ(provider_.request_count(), 2u);
    // Without the reason it is cut.
    step.break_off->count = 1;
    provider_.set_script(script_of({step}));
    EXPECT_TRUE(event_names(fleet_.ask(in_session("u", true)).body).ends_with("error"));
}

}  // namespace
}  // namespace balancer::tests
