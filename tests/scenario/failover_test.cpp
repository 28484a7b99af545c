// Before the commit every failure moves on to the next provider; the client never notices.
#include <gtest/gtest.h>

#include "tests/scenario/fleet.hpp"

namespace balancer::tests {
namespace {

using How = Break::How;
using After = Break::After;

struct Fault {
    const char* name;
    Step step;
    const char* failure;  // in the access record
    bool stream_only = false;
    bool unstreamed_only = false;
};

Step with_error_event(std::size_t after_events, std::string type) {
    Step step;
    step.error_event = ErrorEvent{after_events, {std::move(type), "from the script"}};
    return step;
}

Step refusing() {
    Step step;
    step.refuse = true;
    return step;
}

Step garbage() {
    Step step;
    step.garbage_head = true;
    return step;
}

Step hidden_error(std::string type) {
    Step step;
    step.error = ErrorSpec{std::move(type), "from the script"};
    return step;
}

Step plain_body(std::string body) {
    Step step;
    step.body = std::move(body);
    step.headers = {{"content-type", "text/plain"}};
    return step;
}

Step framed(Step step, Framing framing) {
    step.framing = framing;
    return step;
}

std::vector<Fault> faults() {
    return {
        {"refused", refusing(), "connect"},
        {"garbage instead of a head", garbage(), "protocol"},
        {"silence instead of a head", break_step(How::kHang, After::kHeadBytes, 0), "timeout"},
        {"silence inside the head", break_step(How::kHang, After::kHeadBytes, 20), "timeout"},
        {"reset before the head", break_step(How::kReset, After::kHeadBytes, 0), "connect"},
        {"closed before the head", break_step(How::kClose, After::kHeadBytes, 0), "connect"},
        {"reset inside the head", break_step(How::kReset, After::kHeadBytes, 30), "broken_stream"},
        {"closed inside the head", break_step(How::kClose, After::kHeadBytes, 30), "broken_stream"},
        {"500", status_step(500), "upstream_5xx"},
        {"502", status_step(502), "upstream_5xx"},
        {"503", status_step(503), "upstream_5xx"},
        {"504", status_step(504), "upstream_5xx"},
        {"529", status_step(529), "overloaded"},
        {"429 without a reset", status_step(429), "rate_limited"},
        {"408", status_step(408), "timeout"},
        {"a redirect", status_step(307, {{"location", "http://elsewhere/"}}), "protocol"},
        {"body reset at its first byte", break_step(How::kReset, After::kBodyBytes, 1), "broken_stream"},
        {"body closed at its first byte", break_step(How::kClose, After::kBodyBytes, 1), "broken_stream"},
        {"body silent at its first byte", break_step(How::kHang, After::kBodyBytes, 1), "timeout"},
        {"malformed chunk", framed(break_step(How::kBadChunk, After::kBodyBytes, 0), Framing::kChunked), "protocol"},
        {"an operator's pattern in plain text", plain_body("sorry: insufficient credits here"), "pattern", false, true},
        {"an error object inside 200", hidden_error("overloaded_error"), "overloaded", false, true},
        {"body cut in the middle", break_step(How::kClose, After::kBodyBytes, 60), "broken_stream", false, true},
        {"overloaded as the first event", with_error_event(0, "overloaded_error"), "overloaded", true},
        {"an api_error after message_start", with_error_event(1, "api_error"), "upstream_5xx", true},
        {"rate limit after the first ping", with_error_event(2, "rate_limit_error"), "rate_limited", true},
        {"reset after message_start", break_step(How::kReset, After::kEvents, 1), "broken_stream", true},
        {"cut after message_start", break_step(How::kClose, After::kEvents, 1), "broken_stream", true},
        {"a clean end after message_start", break_step(How::kFinish, After::kEvents, 1), "broken_stream", true},
        {"silence after message_start", break_step(How::kHang, After::kEvents, 2), "timeout", true},
    };
}

constexpr const char* kSettings =
    "  unhealthy_threshold: 1000\n"
    "  unhealthy_response_body_patterns: [\"insufficient credits\"]\n"
    "  timeouts:\n"
    "    streaming: {connect_timeout: 1, read_timeout: 0.4}\n"
    "    non_streaming: {connect_timeout: 1, read_timeout: 0.4}\n";

// These bench at once, whatever the threshold.
std::vector<Fault> account_faults() {
    return {
        {"402", status_step(402), "quota"},
        {"401 of the provider's key", status_step(401), "auth"},
        {"403 of the provider's key", status_step(403), "auth"},
    };
}

class Failover : public testing::TestWithParam<bool> {
  protected:
    FakeProvider bad_;
    FakeProvider good_;
    Fleet fleet_{to_yaml({{{"bad", bad_.base_url()}, {"good", good_.base_url()}}, {}, kSettings})};
};

TEST_P(Failover, BeforeTheCommitTheClientNeverNotices) {
    bool stream = GetParam();
    int number = 0;
    for (const Fault& fault : faults()) {
        if (stream ? fault.unstreamed_only : fault.stream_only) continue;
        SCOPED_TRACE(fault.name);
        bad_.set_script(script_of({fault.step}));
        ClaudeCodeRequest request;
        request.stream = stream;
        // A session of its own, so that stickiness does not hide the bad provider.
        request.session_id = "session-" + std::to_string(++number);
        std::size_t before = bad_.connection_count();
        RawResponse answer = fleet_.ask(request);
        EXPECT_EQ(answer.status, 200u);
        EXPECT_EQ(answer.end, BodyEnd::kComplete);
        EXPECT_EQ(answer.header("x-provider-used"), "good");
        EXPECT_TRUE(bad_.connection_count() > before || bad_.request_count() > 0);
        if (stream) {
            EXPECT_TRUE(event_names(answer.body).starts_with("message_start ping content_block_start"));
            EXPECT_TRUE(event_names(answer.body).ends_with("message_stop"));
        }
        std::string metrics = fleet_.get_at(fleet_.admin_port(), "/metrics").body;
        EXPECT_NE(metrics.find(std::string("failure=\"") + fault.failure + "\",provider=\"bad\"") == std::string::npos
                      ? metrics.find(std::string("provider=\"bad\",failure=\"") + fault.failure)
                      : std::size_t{0},
                  std::string::npos);
        bad_.clear_requests();
    }
    EXPECT_GT(number, 20);
}

TEST_P(Failover, AnAnswerAboutTheAccountMovesOnAndBenchesAtOnce) {
    for (const Fault& fault : account_faults()) {
        SCOPED_TRACE(fault.name);
        FakeProvider bad(script_of({fault.step}));
        Fleet fleet(to_yaml({{{"bad", bad.base_url()}, {"good", good_.base_url()}}, {}, kSettings}));
        for (const char* session : {"first", "second", "third"}) {
            ClaudeCodeRequest request;
            request.stream = GetParam();
            request.session_id = session;
            EXPECT_EQ(fleet.ask(request).header("x-provider-used"), "good");
            ASSERT_TRUE(Fleet::eventually([&] {
                return fleet.get("/").body.find("\"providers_available\":1") != std::string::npos;
            }));
        }
        EXPECT_EQ(bad.request_count(), 1u);
        std::string metrics = fleet.get_at(fleet.admin_port(), "/metrics").body;
        EXPECT_NE(metrics.find(std::string("failure=\"") + fault.failure + "\""), std::string::npos);
    }
}

TEST_P(Failover, AClientsOwnFaultIsReturnedUnmodifiedAndHeldAgainstNobody) {
    int number = 0;
    for (unsigned status : {400u, 404u, 405u, 409u, 413u, 422u}) {
        SCOPED_TRACE(status);
        Step step = status_step(status, {{"x-should-retry", "false"}});
        step.error = ErrorSpec{"invalid_request_error", "prompt is too long: 1 > 0"};
        bad_.set_script(script_of({step}));
        ClaudeCodeRequest request;
        request.stream = GetParam();
        request.session_id = "session-" + std::to_string(++number);
        RawResponse answer = fleet_.ask(request);
        EXPECT_EQ(answer.status, status);
        EXPECT_NE(answer.body.find("prompt is too long: 1 > 0"), std::string::npos);
        EXPECT_EQ(answer.header("x-should-retry"), "false");
        EXPECT_FALSE(answer.header("request-id").empty());
    }
    EXPECT_EQ(good_.request_count(), 0u);
    EXPECT_EQ(fleet_.get("/health").status, 200u);
}

INSTANTIATE_TEST_SUITE_P(, Failover, testing::Values(true, false), [](const auto& info) {
    return info.param ? "Streamed" : "Unstreamed";
});

TEST(GivingUp, OneProviderAloneAnswersForItself) {
    FakeProvider only(script_of({status_step(429, {{"retry-after", "7"}})}));
    Fleet fleet(to_yaml({{{"only", only.base_url()}}}));
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.status, 429u);
    EXPECT_EQ(answer.header("retry-after"), "7");
    EXPECT_NE(answer.body.find("rate_limit_error"), std::string::npos);
}

TEST(GivingUp, NamesEveryProviderAndKeepsRetryAfterUnderAMinute) {
    FakeProvider a(script_of({status_step(429, {{"retry-after", "600"}})}));
    FakeProvider b(script_of({status_step(429, {{"retry-after", "900"}})}));
    Fleet fleet(to_yaml({{{"first", a.base_url()}, {"second", b.base_url()}}}));
    RawResponse answer = fleet.ask(streamed());
    EXPECT_EQ(answer.status, 503u);
    EXPECT_NE(answer.body.find("\"type\":\"provider_error\""), std::string::npos);
    EXPECT_NE(answer.body.find("\"code\":\"PROVIDER_UNAVAILABLE\""), std::string::npos);
    EXPECT_NE(answer.body.find("\"provider\":\"first\""), std::string::npos);
    EXPECT_NE(answer.body.find("\"provider\":\"second\""), std::string::npos);
    // Once the resets are known to the worker, the true time is told, and the header stays where Claude Code waits.
    ASSERT_TRUE(Fleet::eventually([&] {
        return fleet.ask(streamed()).header("retry-after") == "59";
    }));
}

// The client's next try is worth its while only then; what the control thread makes of it comes later.
TEST(GivingUp, TheFirstAnswerTellsWhenTheFirstProviderIsBack) {
    FakeProvider a(script_of({status_step(429, {{"retry-after", "40"}})}));
    FakeProvider b(script_of({status_step(429, {{"retry-after", "25"}})}));
    Fleet fleet(to_yaml({{{"a", a.base_url()}, {"b", b.base_url()}}}));
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.status, 503u);
    int seconds = std::stoi("0" + std::string(answer.header("retry-after")));
    EXPECT_GE(seconds, 20);
    EXPECT_LE(seconds, 25);
}

TEST(GivingUp, TheRetryBudgetBoundsFailover) {
    FakeProvider a(script_of({status_step(500)}));
    FakeProvider b;
    Fleet fleet(
        to_yaml(
            {{{"first", a.base_url()}, {"second", b.base_url()}},
             {},
             "  unhealthy_threshold: 1000\n"
             "  limits: {retry_budget_percent: 0, retry_budget_min_per_second: 0}\n"}
        )
    );
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.status, 503u);
    EXPECT_NE(answer.body.find("RETRY_BUDGET"), std::string::npos);
    EXPECT_EQ(b.request_count(), 0u);
}

TEST(StaleConnection, CountsAgainstNobody) {
    Step once;
    once.closing = Closing::kSilent;
    FakeProvider only(script_of({once}));
    Fleet fleet(to_yaml({{{"only", only.base_url()}}}), {1, 1});
    for (int i = 0; i < 20; ++i) {
        RawResponse answer = fleet.ask(unstreamed());
        ASSERT_EQ(answer.status, 200u) << i;
    }
    std::string metrics = fleet.get_at(fleet.admin_port(), "/metrics").body;
    EXPECT_EQ(metrics.find("failure=\"connect\""), std::string::npos);
    EXPECT_EQ(metrics.find("failure=\"broken_stream\""), std::string::npos);
}

}  // namespace
}  // namespace balancer::tests
