#include "dataplane/exchange/classify.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "base/utf8.hpp"
#include "dataplane/wire/openai_error.hpp"

namespace balancer::dataplane {
namespace {

constexpr UnixMs kNow = 1'700'000'000'000;

class Classify : public testing::Test {
  protected:
    Provider own_;
    Provider passthrough_;
    Settings settings_;

    Classify() { passthrough_.auth_type = AuthType::kPassthrough; }

    void pattern(const std::string& text) {
        re2::RE2::Options options;
        options.set_case_sensitive(false);
        auto set = std::make_unique<re2::RE2::Set>(options, re2::RE2::UNANCHORED);
        set->Add(text, nullptr);
        set->Compile();
        settings_.body_patterns = std::move(set);
        settings_.body_pattern_texts = {text};
    }
    Verdict status(unsigned code, const std::string& body = "", bool own = true) {
        wire::ResponseHead head;
        head.status = code;
        return classify_status(
            head, body, wire::anthropic_error(code, body), own ? own_ : passthrough_, settings_, kNow
        );
    }
};

TEST_F(Classify, ARedirectIsAMistakeAndNamesNoSecret) {
    own_.credential = Credential{"authorization", "Bearer secret-of-the-account"};
    wire::ResponseHead head;
    head.status = 307;
    head.fields = {{"location", "https://elsewhere.example/secret-of-the-account/v1?prompt=words#more"}};
    Verdict verdict = classify_redirect(head, own_, settings_);
    EXPECT_EQ(verdict.failure, FailureClass::kProtocol);
    EXPECT_TRUE(verdict.try_next);
    EXPECT_EQ(verdict.detail, "redirect 307 to https://elsewhere.example/[redacted]/v1: correct base_url");
}

TEST_F(Classify, EveryStatusHasItsClass) {
    struct Case {
        unsigned status;
        bool own;
        FailureClass failure;
        bool try_next;
        bool counted;
    };
    for (const Case& one : {
             Case{400, true, FailureClass::kClient, false, false},
             Case{401, true, FailureClass::kAuth, true, true},
             Case{401, false, FailureClass::kClient, false, false},
             Case{402, true, FailureClass::kQuota, true, true},
             Case{403, true, FailureClass::kAuth, true, true},
             Case{403, false, FailureClass::kClient, false, false},
             Case{404, true, FailureClass::kClient, false, false},
             Case{408, true, FailureClass::kTimeout, true, true},
             Case{413, true, FailureClass::kClient, false, false},
             Case{422, true, FailureClass::kClient, false, false},
             Case{429, true, FailureClass::kRateLimited, true, false},
             Case{500, true, FailureClass::kUpstream5xx, true, true},
             Case{524, true, FailureClass::kUpstream5xx, true, true},
             Case{529, true, FailureClass::kOverloaded, true, true},
         }) {
        SCOPED_TRACE(one.status);
        Verdict verdict = status(one.status, "", one.own);
        EXPECT_EQ(verdict.failure, one.failure);
        EXPECT_EQ(verdict.try_next, one.try_next);
        EXPECT_EQ(verdict.counted, one.counted);
    }
}

TEST_F(Classify, AListedStatusCountsAndMovesOn) {
    settings_.http_codes = {404, 429};
    EXPECT_EQ(status(404).failure, FailureClass::kPattern);
    EXPECT_TRUE(status(404).try_next);
    EXPECT_TRUE(status(404).counted);
    EXPECT_TRUE(status(429).counted);
    EXPECT_FALSE(status(400).try_next);
}

TEST_F(Classify, AnOperatorsPatternMakesAnErrorBodyTheProviders) {
    pattern("insufficient\\s+credits?");
    EXPECT_TRUE(status(400, "Insufficient  CREDIT left").try_next);
    EXPECT_FALSE(status(400, "something else").try_next);
    EXPECT_EQ(classify_plain_body("insufficient credits", settings_).failure, FailureClass::kPattern);
    EXPECT_EQ(classify_plain_body("all is well", settings_).failure, FailureClass::kNone);
}

TEST_F(Classify, AnEmptyPurseIsAQuotaWhateverTheStatus) {
    Verdict verdict = status(400, R"({"error":{"type":"invalid_request_error","message":"Your credit balance is too low"}})");
    EXPECT_EQ(verdict.failure, FailureClass::kQuota);
    EXPECT_TRUE(verdict.try_next);
}

TEST_F(Classify, ErrorObjectsByTheirType) {
    auto type = [&](const std::string& name, const Provider& provider) {
        std::string body = R"({"type":"error","error":{"type":")" + name + R"(","message":"m"}})";
        return classify_error_object(body, wire::anthropic_error(200, body), provider, settings_);
    };
    EXPECT_EQ(type("overloaded_error", own_).failure, FailureClass::kOverloaded);
    EXPECT_EQ(type("rate_limit_error", own_).failure, FailureClass::kRateLimited);
    EXPECT_EQ(type("authentication_error", own_).failure, FailureClass::kAuth);
    EXPECT_EQ(type("authentication_error", passthrough_).failure, FailureClass::kClient);
    EXPECT_EQ(type("invalid_request_error", own_).failure, FailureClass::kClient);
    EXPECT_FALSE(type("invalid_request_error", own_).try_next);
    EXPECT_EQ(type("brand_new_error", own_).failure, FailureClass::kUpstream5xx);
}

TEST_F(Classify, DetailsHoldNoSecretsAndNoControlCharacters) {
    Verdict verdict = status(
        500,
        R"({"error":{"message":"bad key sk-ant-CANARY-12345678\r\n\u0001)" + std::string(10'000, 'x') + "\"}}"
    );
    EXPECT_EQ(verdict.detail.find("CANARY"), std::string::npos);
    EXPECT_LT(verdict.detail.size(), 400u);
    for (char c : verdict.detail) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
}

// Protobuf refuses to parse a string that is cut in the middle of a character.
TEST_F(Classify, DetailsAreUtf8WhereverTheyAreCut) {
    for (std::size_t front = 290; front < 300; ++front) {
        std::string words = std::string(front, 'x') + "\xE4\xBD\x99\xE9\xA2\x9D\xE4\xB8\x8D\xE8\xB6\xB3";
        std::string detail = status(500, R"({"error":{"message":")" + words + "\"}}").detail;
        EXPECT_EQ(to_utf8(detail), detail);
        EXPECT_GE(detail.size(), 298U);
    }
    wire::ResponseHead head;
    head.status = 500;
    head.fields = {{"content-type", "text/\xFF"}};
    std::string detail = classify_status(head, "x", wire::anthropic_error(500, "x"), own_, settings_, kNow).detail;
    EXPECT_EQ(to_utf8(detail), detail);
}

TEST_F(Classify, ThePassthroughCallersKeyIsNotQuoted) {
    std::string body = R"({"error":{"type":"authentication_error","message":"Invalid token cr_0123456789"}})";
    wire::ResponseHead head;
    head.status = 401;
    std::vector<std::string_view> keys = {"cr_0123456789"};
    auto told = wire::anthropic_error(401, body);
    EXPECT_EQ(classify_status(head, body, told, passthrough_, settings_, kNow, keys).detail, "Invalid token [redacted]");
}

TEST_F(Classify, ABodyThatIsNoErrorOfTheApiIsNotQuoted) {
    for (const char* body : {"<html>canary</html>", R"({"detail":"canary"})", R"({"error":{"code":"canary"}})"}) {
        Verdict verdict = status(500, body);
        EXPECT_EQ(verdict.detail.find("canary"), std::string::npos) << verdict.detail;
        EXPECT_NE(verdict.detail.find("no error of the API"), std::string::npos);
    }
    pattern("out of canaries");
    EXPECT_EQ(
        classify_plain_body("what I was asked: XYZ. we are out of canaries", settings_).detail,
        "a 200 answer of 45 bytes matches 'out of canaries'"
    );
}

TEST(RetryTime, ReadsEveryFormThatIsSent) {
    auto at = [](std::initializer_list<wire::HeaderField> fields) {
        wire::ResponseHead head;
        head.fields = fields;
        return retry_time(head, kNow);
    };
    EXPECT_EQ(at({}), 0);
    EXPECT_EQ(at({{"Retry-After", "30"}}), kNow + 30'000);
    EXPECT_EQ(at({{"retry-after", "0.5"}}), kNow + 500);
    EXPECT_EQ(at({{"retry-after-ms", "250"}}), kNow + 250);
    EXPECT_EQ(at({{"retry-after", "Tue, 14 Nov 2023 22:14:20 GMT"}}), kNow + 60'000);
    EXPECT_EQ(at({{"retry-after", "Tue, 14 Nov 2000 22:14:20 GMT"}}), 0);
    EXPECT_EQ(at({{"retry-after", "soon"}}), 0);
    for (const char* beyond : {"9223372036854775807", "1e300", "99999999999999"}) {
        EXPECT_EQ(at({{"retry-after-ms", beyond}}), 0) << beyond;
        EXPECT_EQ(at({{"retry-after", beyond}}), 0) << beyond;
        EXPECT_EQ(
            at({{"anthropic-ratelimit-unified-status", "rejected"}, {"anthropic-ratelimit-unified-reset", beyond}}), 0
        ) << beyond;
    }
    EXPECT_EQ(at({{"anthropic-ratelimit-unified-reset", "1700003600"}}), 0);
    EXPECT_EQ(
        at({{"anthropic-ratelimit-unified-status", "rejected"}, {"anthropic-ratelimit-unified-reset", "1700003600"}, {"retry-after", "5"}}),
        kNow + 3'600'000
    );
}

}  // namespace
}  // namespace balancer::dataplane
