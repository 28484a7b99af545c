#include "dataplane/wire/convert/foreign_thinking.hpp"

#include "dataplane/wire/convert/answer_to_anthropic.hpp"
#include "tests/unit/wire/convert_fixture.hpp"

namespace balancer::wire::convert {
namespace {

const std::string kOurs = R"({"type":"thinking","thinking":"t [ } \"","signature":")" +
                          std::string(kConvertedSignature) + "\"}";
const std::string kTheirs = R"({ "signature":"c2ln", "type":"thinking","thinking":"x"})";
const std::string kRedacted = R"({"type":"redacted_thinking","data":"d"})";
const std::string kText = R"({"type":"text","text":"\ud83d 1.50"})";
const std::string kCall = R"({"type":"tool_use","id":"t","name":"n","input":{"a":1.0e3}})";
const std::string kResult =
    R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]})";
const std::string kAsk = R"({"role":"user","content":"go"})";

std::string assistant(const std::string& blocks) {
    return R"({"role":"assistant" , "content": [)" + blocks + "] }";
}

std::string with(const std::string& messages, const std::string& rest = "") {
    return R"({"model":"m", "messages" : [ )" + messages + " ]" + rest + "}";
}

struct Outcome {
    std::string body;
    ThinkingCuts cuts;
};

Outcome cut(const std::string& text, ForeignThinking which = ForeignThinking::kNotAnthropic, std::string_view mark = {}) {
    PaddedBody body(text);
    Outcome outcome;
    Result<ThinkingCuts> cuts = find_foreign_thinking(test_reader(), body.view, which, mark);
    if (!cuts) {
        outcome.body = "refused: " + cuts.error().text();
        return outcome;
    }
    for (std::string_view piece : splice_body(body.view, cuts->cuts)) outcome.body += piece;
    outcome.cuts = *cuts;
    return outcome;
}

TEST(ForeignThinking, OnlyWhatWasMadeHereGoesAndNoOtherByte) {
    std::string rest = R"(, "tools":[{"x":1.50}],"thinking":{"type":"adaptive"})";
    Outcome outcome = cut(with(
        kAsk + " , " +
            assistant(kOurs + " , " + kText + "," + kTheirs + "," + kOurs + " ,\n " + kRedacted),
        rest
    ));
    EXPECT_EQ(
        outcome.body, with(kAsk + " , " + assistant(kText + "," + kTheirs + "," + kRedacted), rest)
    );
    EXPECT_EQ(outcome.cuts.blocks, 2U);
    std::string native = with(kAsk + "," + assistant(kTheirs + "," + kText + "," + kRedacted));
    EXPECT_EQ(cut(native).body, native);
    EXPECT_TRUE(cut(native).cuts.cuts.empty());
}

TEST(ForeignThinking, AQuickLookTellsWhetherThereIsAny) {
    EXPECT_TRUE(may_hold_marked_thinking(with(assistant(kOurs))));
    EXPECT_FALSE(may_hold_marked_thinking(with(assistant(kTheirs))));
    EXPECT_FALSE(may_hold_marked_thinking(""));
}

TEST(ForeignThinking, OrEveryOneOfThem) {
    Outcome outcome =
        cut(with(kAsk + "," + assistant(kTheirs + "," + kText + "," + kRedacted) + "," + kAsk),
            ForeignThinking::kAllButOwn);
    EXPECT_EQ(outcome.body, with(kAsk + "," + assistant(kText) + "," + kAsk));
}

TEST(ForeignThinking, WhatAnIssuerOfItsOwnHasSignedGoesToItAloneAndWithoutTheMark) {
    auto signed_by = [](const std::string& mark) {
        return R"({"type":"thinking","thinking":"x","signature":")" + mark + R"(c2ln"})";
    };
    std::string hidden = R"({"type":"redacted_thinking","data":"balancer-issuer-0a-ZA=="})";
    std::string history = kAsk + "," +
                          assistant(signed_by("balancer-issuer-0a-") + "," + hidden + "," + kTheirs + "," + kText + "," +
                                    signed_by("balancer-issuer-0b-") + "," + kOurs) +
                          "," + kAsk;
    EXPECT_EQ(
        cut(with(history), ForeignThinking::kAllButOwn, "balancer-issuer-0a-").body,
        with(kAsk + "," + assistant(signed_by("") + "," + R"({"type":"redacted_thinking","data":"ZA=="})" + "," + kText) + "," + kAsk)
    );
    EXPECT_EQ(cut(with(history)).body, with(kAsk + "," + assistant(kTheirs + "," + kText) + "," + kAsk));
    EXPECT_TRUE(may_hold_marked_thinking(with(history)));
}

TEST(ForeignThinking, ATurnThatGoesOnFromSignedThinkingIsKnown) {
    auto is_loop = [](const std::string& text) {
        PaddedBody body(text);
        return is_thinking_loop(test_reader(), body.view);
    };
    EXPECT_TRUE(is_loop(with(kAsk + "," + assistant(kTheirs + "," + kCall) + "," + kResult)));
    EXPECT_FALSE(is_loop(with(kAsk + "," + assistant(kOurs + "," + kCall) + "," + kResult)));
    EXPECT_FALSE(is_loop(with(kAsk + "," + assistant(kCall) + "," + kResult)));
    EXPECT_FALSE(is_loop(with(kAsk + "," + assistant(kTheirs + "," + kCall) + "," + kResult + "," + kAsk)));
    EXPECT_FALSE(is_loop("{"));
}

TEST(ForeignThinking, AMessageOfNothingElseGoesAsAWhole) {
    EXPECT_EQ(
        cut(with(kAsk + " , " + assistant(kOurs) + "," + kAsk)).body, with(kAsk + " , " + kAsk)
    );
    EXPECT_EQ(cut(with(kAsk + " , " + assistant(kOurs + "," + kOurs))).body, with(kAsk));
    EXPECT_EQ(
        cut(with(assistant(kOurs) + " , " + assistant(kOurs + "," + kText) + "," + assistant(kOurs))
        )
            .body,
        with(assistant(kText))
    );
    EXPECT_EQ(cut(with(kAsk + " , " + assistant(kOurs))).cuts.messages, 1U);
    std::string nothing = with(assistant(kOurs));
    EXPECT_EQ(cut(nothing).body, nothing);
}

TEST(ForeignThinking, ABudgetIsSwitchedOffWhereTheTurnInProgressHasLostItsThinking) {
    std::string on =
        R"(,"thinking":{"type":"enabled","budget_tokens":1024},"context_management":{"edits":[{"type":"clear_thinking_20251015"}]})";
    std::string off = R"(,"thinking":{"type":"disabled"},"context_management":null)";
    std::string loop = kAsk + "," + assistant(kOurs + "," + kCall) + "," + kResult;
    Outcome outcome = cut(with(loop, on));
    EXPECT_TRUE(outcome.cuts.thinking_off);
    EXPECT_EQ(outcome.body, with(kAsk + "," + assistant(kCall) + "," + kResult, off));
    // A system message between does not end the turn; a word of the user does.
    EXPECT_TRUE(cut(with(loop + R"(,{"role":"system","content":"s"})", on)).cuts.thinking_off);
    EXPECT_FALSE(cut(with(loop + "," + kAsk, on)).cuts.thinking_off);
    EXPECT_FALSE(cut(with(kAsk + "," + assistant(kTheirs + "," + kCall) + "," + kResult, on))
                     .cuts.thinking_off);
    EXPECT_FALSE(cut(with(loop, R"(,"thinking":{"type":"adaptive"})")).cuts.thinking_off);
    // The answer came from a provider that told no reasoning.
    EXPECT_TRUE(
        cut(with(kAsk + "," + assistant(kText + "," + kCall) + "," + kResult, on)).cuts.thinking_off
    );
}

TEST(ForeignThinking, WhateverTheMembersOrderTheSpansAreInOrder) {
    std::string body =
        R"({"context_management":{"edits":[]},"thinking":{"budget_tokens":1,"type":"enabled"},"messages":[)" +
        assistant(kOurs + "," + kCall) + "," + kResult + "]}";
    EXPECT_EQ(
        cut(body).body,
        R"({"context_management":null,"thinking":{"type":"disabled"},"messages":[)" +
            assistant(kCall) + "," + kResult + "]}"
    );
}

TEST(ForeignThinking, MalformedBodiesAreRefused) {
    EXPECT_TRUE(cut("{").body.starts_with("refused"));
    EXPECT_TRUE(cut(R"({"messages":[{"role":"user"}],"messages":[{"role":"user"}]})")
                    .body.starts_with("refused"));
    std::string odd =
        R"({"messages":[7,{"content":"x"},{"content":["y",null]}],"thinking":"x","context_management":null})";
    EXPECT_EQ(cut(odd).body, odd);
}

}  // namespace
}  // namespace balancer::wire::convert
