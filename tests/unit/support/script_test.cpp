#include "tests/support/script.hpp"

#include <gtest/gtest.h>

namespace balancer::tests {
namespace {

unsigned next_status(ScriptCursor& cursor, const std::string& model = "m", bool stream = false) {
    HeaderLines headers;
    return cursor.next({"/v1/messages", model, &headers, stream}).status;
}

TEST(Script, RepeatsItsLastStep) {
    ScriptCursor cursor(script_of({status_step(529), status_step(201)}));
    EXPECT_EQ(next_status(cursor), 529U);
    EXPECT_EQ(next_status(cursor), 201U);
    EXPECT_EQ(next_status(cursor), 201U);
}

TEST(Script, LoopsWhenAsked) {
    Step twice = status_step(200);
    twice.times = 2;
    ScriptCursor cursor(script_of({twice, status_step(529)}, AtTheEnd::kLoop));
    std::vector<unsigned> seen;
    for (int i = 0; i < 6; ++i) seen.push_back(next_status(cursor));
    EXPECT_EQ(seen, (std::vector<unsigned>{200, 200, 529, 200, 200, 529}));
}

TEST(Script, SucceedsWithoutSteps) {
    ScriptCursor cursor;
    EXPECT_EQ(next_status(cursor), 200U);
}

TEST(Script, ChoosesTheFirstRuleThatMatches) {
    Result<Script> script = parse_script(R"({
        "rules": [
            {"match": {"model": "opus", "stream": true}, "steps": [{"status": 529}]},
            {"match": {"header": "X-Break"}, "steps": [{"status": 500}]},
            {"match": {"path": "/v1/models"}, "steps": [{"status": 404}]}
        ],
        "steps": [{"status": 202}]
    })");
    ASSERT_TRUE(script.has_value()) << script.error().text();
    ScriptCursor cursor(*script);
    HeaderLines none;
    HeaderLines breaking = {{"x-break", "1"}};
    EXPECT_EQ(cursor.next({"/v1/messages", "opus", &none, true}).status, 529U);
    EXPECT_EQ(cursor.next({"/v1/messages", "opus", &none, false}).status, 202U);
    EXPECT_EQ(cursor.next({"/v1/messages", "opus", &breaking, false}).status, 500U);
    EXPECT_EQ(cursor.next({"/v1/models", "", &none, false}).status, 404U);
}

TEST(Script, LeavesStepsToMessagesWhenAProbeComes) {
    ScriptCursor cursor(script_of({status_step(529), status_step(200)}));
    HeaderLines none;
    EXPECT_EQ(cursor.next({"/", "", &none, false}).status, 200U);
    EXPECT_EQ(next_status(cursor), 529U);
}

TEST(Script, RefusesConnectionsOnlyWhenThatStepIsDue) {
    Step refuse;
    refuse.refuse = true;
    ScriptCursor cursor(script_of({refuse, status_step(200)}));
    EXPECT_TRUE(cursor.refuses_connection());
    EXPECT_FALSE(cursor.refuses_connection());
    EXPECT_EQ(next_status(cursor), 200U);
}

TEST(ScriptJson, ReadsEveryKey) {
    Result<Script> script = parse_script(R"({
        "loop": true, "on_expect": "refuse", "reads_body": false,
        "steps": [{
            "status": 429, "headers": {"retry-after": 3, "x-a": "b"}, "body": {"z": 1, "a": 2},
            "error": {"type": "t", "message": "m"}, "framing": "until_close", "closing": "silent",
            "text": "hi", "text_bytes": 7, "model": "mm", "thinking": "hm", "stop_reason": "refusal",
            "tool": {"name": "n", "input": {"b": 1, "a": 2}}, "input_tokens": 3, "output_tokens": 4,
            "event_gap_ms": 5, "pings_before_start": 6, "ping_gap_ms": 8, "delta_bytes": 9,
            "events": ["data: x\n\n", {"bytes": "y", "gap_ms": 10}],
            "refuse": true, "delay_ms": 11, "informational": 2,
            "error_event": {"after_events": 1, "type": "api_error", "message": "e"},
            "break": {"how": "hang", "after": "events", "count": 12},
            "trickle_bytes": 13, "trickle_gap_ms": 14, "content_length_off_by": -15,
            "garbage_head": true, "times": 16
        }]
    })");
    ASSERT_TRUE(script.has_value()) << script.error().text();
    EXPECT_EQ(script->on_expect, OnExpect::kRefuse);
    EXPECT_FALSE(script->reads_body);
    ASSERT_EQ(script->rules.size(), 1U);
    EXPECT_EQ(script->rules[0].at_the_end, AtTheEnd::kLoop);
    const Step& step = script->rules[0].steps.at(0);
    EXPECT_EQ(step.status, 429U);
    EXPECT_EQ(step.headers, (HeaderLines{{"retry-after", "3"}, {"x-a", "b"}}));
    EXPECT_EQ(step.body, R"({"z":1,"a":2})");
    EXPECT_EQ(step.error->type, "t");
    EXPECT_EQ(step.framing, Framing::kUntilClose);
    EXPECT_EQ(step.closing, Closing::kSilent);
    EXPECT_EQ(step.message.tool->input_json, R"({"b":1,"a":2})");
    EXPECT_EQ(step.message.ping_gap, milliseconds(8));
    EXPECT_EQ(step.message.delta_bytes, 9U);
    ASSERT_EQ(step.events->size(), 2U);
    EXPECT_EQ((*step.events)[1].gap, milliseconds(10));
    EXPECT_EQ(step.error_event->after_events, 1U);
    EXPECT_EQ(step.break_off->how, Break::How::kHang);
    EXPECT_EQ(step.break_off->count, 12U);
    EXPECT_EQ(step.content_length_off_by, -15);
    EXPECT_EQ(step.times, 16U);
}

TEST(ScriptJson, NamesWhatIsWrong) {
    struct Case {
        const char* json;
        const char* words;
    };
    for (const Case& bad : {
             Case{"{", "not JSON"},
             Case{"[]", "script must be an object"},
             Case{R"({"stepz": []})", "stepz"},
             Case{R"({"steps": [{"statsu": 500}]})", "statsu"},
             Case{R"({"steps": [{"status": "x"}]})", "status"},
             Case{R"({"steps": [{"framing": "brotli"}]})", "brotli"},
             Case{R"({"steps": [{"break": {"why": 1}}]})", "why"},
         }) {
        Result<Script> script = parse_script(bad.json);
        ASSERT_FALSE(script.has_value()) << bad.json;
        EXPECT_NE(script.error().text().find(bad.words), std::string::npos)
            << script.error().text();
    }
}

}  // namespace
}  // namespace balancer::tests
