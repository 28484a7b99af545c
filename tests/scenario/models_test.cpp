// GET /v1/models in both shapes: what the routes name, and what providers list and a pattern serves.
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;
using Ids = std::vector<std::string>;

// As Claude Code and the SDKs of Anthropic ask, and as OpenAI's do.
constexpr std::string_view kAnthropic = "anthropic-version: 2023-06-01\r\nauthorization: Bearer k\r\n";
constexpr std::string_view kOpenai = "authorization: Bearer k\r\n";

Ids ids_of(const json& body) {
    Ids ids;
    for (const json& model : body["data"]) ids.push_back(model["id"]);
    return ids;
}

Script listing(const std::string& path, const std::string& body) {
    Step step;
    step.body = body;
    return script_at(path, step);
}

ProviderText openai(const std::string& name, const FakeProvider& provider) {
    ProviderText text{name, provider.base_url() + "/v1"};
    text.type = "openai";
    return text;
}

const std::string kOpenaiList =
    R"({"object":"list","data":[{"id":"gpt-4o","object":"model","created":1715367049,"owned_by":"system"},)"
    R"({"id":"vendor/claude-like","object":"model","created":0,"owned_by":"vendor","more":{"a":[1]}}]})";

class ModelPages : public testing::Test {
  protected:
    static RawResponse ask(
        const Fleet& fleet, std::string_view lines, const std::string& target = "/v1/models?limit=1000",
        std::string_view method = "GET"
    ) {
        std::string head = std::string(method) + " " + target + " HTTP/1.1\r\nHost: b\r\n" + std::string(lines);
        return exchange_raw(fleet.port(), head + "\r\n");
    }

    static json list(const Fleet& fleet, std::string_view lines, const std::string& target = "/v1/models?limit=1000") {
        RawResponse answer = ask(fleet, lines, target);
        EXPECT_EQ(answer.status, 200u) << answer.body;
        EXPECT_EQ(answer.header("content-type"), "application/json");
        return json::parse(answer.body, nullptr, false);
    }

    static std::size_t asked(const FakeProvider& provider) {
        std::size_t count = 0;
        for (const RecordedRequest& request : provider.requests()) count += request.method == "GET" ? 1 : 0;
        return count;
    }

    FakeProvider alpha_;
    FakeProvider other_;
};

TEST_F(ModelPages, BothShapesSayTheSame) {
    Fleet fleet(to_yaml({{{"alpha", alpha_.base_url()}}}));
    Ids expected = {"claude-opus-5-5", "claude-sonnet-4-5-20250929", "claude-haiku-4-5"};
    json anthropic = list(fleet, kAnthropic);
    EXPECT_EQ(ids_of(anthropic), expected);
    EXPECT_EQ(anthropic["data"][0]["type"], "model");
    EXPECT_EQ(anthropic["data"][0]["display_name"], "claude-opus-5-5");
    EXPECT_EQ(anthropic["data"][0]["created_at"], "2026-01-01T00:00:00Z");
    EXPECT_EQ(anthropic["has_more"], false);
    EXPECT_EQ(anthropic["first_id"], "claude-opus-5-5");
    EXPECT_EQ(anthropic["last_id"], "claude-haiku-4-5");

    json openai = list(fleet, kOpenai, "/v1/models");
    EXPECT_EQ(openai["object"], "list");
    EXPECT_EQ(ids_of(openai), expected);
    EXPECT_EQ(openai["data"][0]["object"], "model");
    EXPECT_EQ(openai["data"][0]["created"], 1767225600);
    EXPECT_TRUE(openai["data"][0]["owned_by"].is_string());

    EXPECT_TRUE(list(fleet, "x-api-key: k\r\n").contains("has_more"));
    EXPECT_TRUE(list(fleet, "").contains("has_more"));
    RecordedRequest seen = alpha_.requests().front();
    EXPECT_EQ(seen.target, "/v1/models?limit=1000");
    EXPECT_EQ(seen.header("x-api-key"), "sk-test-key-of-provider");
    EXPECT_FALSE(seen.has_header("authorization"));
    EXPECT_EQ(asked(alpha_), 1u) << "the list is kept";
}

TEST_F(ModelPages, OnlyWhatTheRoutesServeIsListed) {
    other_.set_script(listing("/v1/models", kOpenaiList));
    Fleet fleet(to_yaml(
        {{{"alpha", alpha_.base_url()}, openai("other", other_)},
         route("my-alias", target("alpha", "claude-opus-5-5")) + route("*opus*", target("alpha", "passthrough")) +
             route("gpt-*", target("other", "passthrough")) + route("*haiku*", target("other", "gpt-4o"))}
    ));
    // Of alpha's list the sonnet has no route; of the other's vendor/claude-like.
    EXPECT_EQ(ids_of(list(fleet, kAnthropic)), (Ids{"my-alias", "claude-opus-5-5", "claude-haiku-4-5", "gpt-4o"}));
    json listed = list(fleet, kOpenai);
    EXPECT_EQ(listed["data"][3]["created"], 1715367049);
    EXPECT_EQ(listed["data"][3]["owned_by"], "system");
    EXPECT_EQ(other_.requests().front().header("authorization"), "Bearer sk-test-key-of-provider");
    EXPECT_EQ(other_.requests().front().target, "/v1/models");
}

TEST_F(ModelPages, OneModelIsThereOrNot) {
    other_.set_script(listing("/v1/models", kOpenaiList));
    Fleet fleet(to_yaml(
        {{openai("other", other_)},
         route("my-alias", target("other", "gpt-4o")) + route("*", target("other", "passthrough"))}
    ));
    EXPECT_EQ(list(fleet, kAnthropic, "/v1/models/my-alias")["created_at"], "1970-01-01T00:00:00Z");
    EXPECT_EQ(list(fleet, kAnthropic, "/v1/models/gpt-4o")["id"], "gpt-4o");
    for (const char* path : {"/v1/models/vendor%2Fclaude-like", "/v1/models/vendor/claude-like"}) {
        EXPECT_EQ(list(fleet, kOpenai, path)["owned_by"], "vendor") << path;
    }
    RawResponse missing = ask(fleet, kAnthropic, "/v1/models/nothing");
    EXPECT_EQ(missing.status, 404u);
    EXPECT_EQ(json::parse(missing.body)["error"]["type"], "not_found_error");
    missing = ask(fleet, kOpenai, "/v1/models/nothing");
    EXPECT_EQ(missing.status, 404u);
    EXPECT_EQ(json::parse(missing.body)["error"]["code"], "model_not_found");
}

TEST_F(ModelPages, PagesAreAnthropics) {
    Fleet fleet(to_yaml({{{"alpha", alpha_.base_url()}}}));
    json first = list(fleet, kAnthropic, "/v1/models?limit=2");
    EXPECT_EQ(ids_of(first), (Ids{"claude-opus-5-5", "claude-sonnet-4-5-20250929"}));
    EXPECT_EQ(first["has_more"], true);
    json rest = list(fleet, kAnthropic, "/v1/models?limit=2&after_id=claude-sonnet-4-5-20250929");
    EXPECT_EQ(ids_of(rest), (Ids{"claude-haiku-4-5"}));
    EXPECT_EQ(rest["has_more"], false);
    EXPECT_EQ(ids_of(list(fleet, kAnthropic, "/v1/models?limit=1&before_id=claude%2Dhaiku-4-5")),
              (Ids{"claude-sonnet-4-5-20250929"}));
    json none = list(fleet, kAnthropic, "/v1/models?after_id=claude-haiku-4-5");
    EXPECT_TRUE(none["data"].empty());
    EXPECT_TRUE(none["first_id"].is_null());
    for (const char* bad : {"limit=0", "limit=1001", "limit=x", "after_id=nobody", "after_id=a&before_id=b"}) {
        RawResponse answer = ask(fleet, kAnthropic, std::string("/v1/models?") + bad);
        EXPECT_EQ(answer.status, 400u) << bad;
        EXPECT_EQ(json::parse(answer.body)["error"]["type"], "invalid_request_error");
    }
}

// Whatever a provider does, the others' models come, in time.
TEST_F(ModelPages, AProviderThatHangsOrFailsIsPassedOver) {
    for (const Step& step :
         {break_step(Break::How::kHang, Break::After::kHeadBytes, 0), break_step(Break::How::kHang, Break::After::kBodyBytes, 5),
          break_step(Break::How::kReset, Break::After::kHeadBytes, 0), status_step(500), status_step(302, {{"location", "/v1/other"}}), [] {
              Step garbage;
              garbage.body = "<html>";
              return garbage;
          }()}) {
        other_.set_script(script_at("/v1/models", step));
        Fleet fleet(to_yaml(
            {{{"alpha", alpha_.base_url()}, {"other", other_.base_url()}},
             route("named", target("other", "m")) + route("*", target("alpha", "passthrough") + target("other", "passthrough", 2))}
        ));
        auto began = std::chrono::steady_clock::now();
        EXPECT_EQ(ids_of(list(fleet, kAnthropic)).size(), 4u);
        EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(3));
    }
}

TEST_F(ModelPages, TheOperatorSeesWhoGivesNoList) {
    other_.set_script(script_at("/v1/models", status_step(404)));
    Fleet fleet(to_yaml({{{"alpha", alpha_.base_url()}, {"other", other_.base_url()}}, {}, {}, "INFO"}));
    list(fleet, kAnthropic);
    Metrics metrics = read_metrics(fleet);
    EXPECT_EQ(metrics.sum("balancer_dp_provider_models", {{"provider", "alpha"}}), 3);
    EXPECT_EQ(metrics.sum("balancer_dp_provider_models", {{"provider", "other"}}), 0);
    EXPECT_EQ(metrics.sum("balancer_dp_provider_model_lists_total", {{"provider", "other"}, {"result", "failed"}}), 1);
    // Asking for a list says nothing about the provider's health.
    EXPECT_EQ(attempts(fleet, "other", "client"), 0);
}

TEST_F(ModelPages, APassthroughProviderIsAskedWithTheClientsOwnCredential) {
    ProviderText through{"alpha", alpha_.base_url()};
    through.auth = "    auth_type: api_key\n    auth_value: passthrough\n";
    Fleet fleet(to_yaml(
        {{through}, {}, "  auth: {enabled: true, api_keys: [{name: me, key: sk-balancer-key-1234}]}\n"}
    ));
    EXPECT_EQ(ask(fleet, "x-api-key: sk-own-key-one\r\n").status, 401u);
    std::string own = "authorization: Bearer sk-balancer-key-1234\r\nx-api-key: ";
    EXPECT_TRUE(list(fleet, "x-api-key: sk-balancer-key-1234\r\n")["data"].empty()) << "there is nothing to ask with";
    EXPECT_EQ(alpha_.request_count(), 0u);
    for (const char* key : {"sk-own-key-one", "sk-own-key-one", "sk-own-key-two"}) {
        EXPECT_EQ(ids_of(list(fleet, own + key + "\r\n")).size(), 3u);
        EXPECT_EQ(alpha_.requests().back().header("x-api-key"), key);
        EXPECT_FALSE(alpha_.requests().back().has_header("authorization"));
    }
    EXPECT_EQ(asked(alpha_), 2u) << "one list for each credential";
}

// A credential may be good only with the right beta.
TEST_F(ModelPages, WhatTheClientSpeaksGoesAlongWithItsCredential) {
    ProviderText through{"alpha", alpha_.base_url()};
    through.auth = "    auth_type: api_key\n    auth_value: passthrough\n";
    Fleet fleet(to_yaml(
        {{through, {"other", other_.base_url()}},
         route("*", target("alpha", "passthrough") + target("other", "passthrough", 2))}
    ));
    std::string own = "authorization: Bearer sk-own-key-one\r\nanthropic-version: 2024-12-31\r\n";
    list(fleet, own + "anthropic-beta: oauth-2025-04-20,files-api-2025-04-14\r\n");
    RecordedRequest seen = alpha_.requests().back();
    EXPECT_EQ(seen.header("anthropic-version"), "2024-12-31");
    EXPECT_EQ(seen.header("anthropic-beta"), "oauth-2025-04-20,files-api-2025-04-14");
    // The other's list is everybody's.
    seen = other_.requests().back();
    EXPECT_EQ(seen.header("anthropic-version"), "2023-06-01");
    EXPECT_FALSE(seen.has_header("anthropic-beta"));
    // Without the beta the answer may be another one.
    list(fleet, own);
    EXPECT_EQ(asked(alpha_), 2u);
    EXPECT_FALSE(alpha_.requests().back().has_header("anthropic-beta"));
    EXPECT_EQ(asked(other_), 1u);
}

TEST_F(ModelPages, CredentialsWithoutNumberAreNotAllAskedForAtOnce) {
    ProviderText through{"alpha", alpha_.base_url()};
    through.auth = "    auth_type: api_key\n    auth_value: passthrough\n";
    Fleet fleet(to_yaml({{through}}));
    alpha_.set_script(script_at("/v1/models", break_step(Break::How::kHang, Break::After::kHeadBytes, 0)));
    std::vector<RawClient> clients;
    for (int i = 0; i < 12; ++i) {
        Result<RawClient> client = RawClient::connect(fleet.port());
        ASSERT_TRUE(client);
        std::string key = "x-api-key: sk-own-" + std::to_string(i) + "\r\n\r\n";
        ASSERT_TRUE(client->send("GET /v1/models HTTP/1.1\r\nHost: b\r\n" + key));
        clients.push_back(*std::move(client));
    }
    for (RawClient& client : clients) {
        Result<RawResponse> answer = client.read_response();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200u);
    }
    EXPECT_EQ(asked(alpha_), 8u);
}

TEST_F(ModelPages, OthersThanGetAreRefused) {
    Fleet fleet(to_yaml({{{"alpha", alpha_.base_url()}}}));
    EXPECT_EQ(exchange_raw(fleet.port(), post_request("", "{}", "/v1/models")).status, 405u);
}

}  // namespace
}  // namespace balancer::tests
