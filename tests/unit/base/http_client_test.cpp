// Against the fake provider: real sockets on 127.0.0.1.
#include "base/http_client.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "tests/support/fake_provider.hpp"
#include "tests/support/test_proxies.hpp"

namespace balancer {
namespace {

using namespace balancer::tests;

Result<HttpResponse> ask(HttpRequest request) {
    boost::asio::io_context context{1};
    auto answer =
        boost::asio::co_spawn(context, fetch(std::move(request)), boost::asio::use_future);
    context.run();
    return answer.get();
}

HttpRequest messages_at(const FakeProvider& provider, bool tls = false) {
    HttpRequest request;
    request.tls = tls;
    request.host = tls ? "localhost" : "127.0.0.1";
    request.port = provider.port();
    request.method = "POST";
    request.target = "/v1/messages";
    request.headers = {{"host", "h"}, {"content-type", "application/json"}, {"x-api-key", "k"}};
    request.body = R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]})";
    return request;
}

TEST(HttpClient, SendsARequestAndReadsTheAnswer) {
    FakeProvider provider;
    Result<HttpResponse> answer = ask(messages_at(provider));
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->status, 200u);
    EXPECT_FALSE(answer->header("Request-ID").empty());
    EXPECT_NE(answer->body.find("\"message\""), std::string::npos);
    ASSERT_EQ(provider.request_count(), 1u);
}

TEST(HttpClient, GoesThroughAProxyThatResolvesTheName) {
    for (bool socks : {false, true}) {
        TestProxyOptions options;
        options.kind = socks ? tests::ProxyKind::kSocks5 : tests::ProxyKind::kHttpConnect;
        options.access = ProxyAccess{"joe", "secret"};
        TestProxy proxy(options);
        TestCa ca;
        FakeProviderOptions tls;
        tls.tls = ca.issue({"no-such-name.invalid"});
        FakeProvider provider({}, tls);
        HttpRequest request = messages_at(provider, true);
        request.host = "no-such-name.invalid";
        request.ca_pem = ca.certificate_pem();
        request.proxy = ProxySpec{
            socks ? balancer::ProxyKind::kSocks5 : balancer::ProxyKind::kHttpConnect, "127.0.0.1", proxy.port(), "joe", "secret"
        };
        Result<HttpResponse> answer = ask(request);
        ASSERT_TRUE(answer) << answer.error().text();
        EXPECT_EQ(answer->status, 200u);
        EXPECT_EQ(proxy.targets(), std::vector<std::string>{"no-such-name.invalid:" + std::to_string(provider.port())});
        request.proxy->password = "wrong";
        Result<HttpResponse> refused = ask(request);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().text().find("wrong"), std::string::npos);
    }
}

// Whether somebody may have seen the request decides whether it may be sent again.
TEST(HttpClient, SaysWhetherTheRequestWentOut) {
    auto sent_by = [](HttpRequest request) {
        bool sent = false;
        boost::asio::io_context context{1};
        auto answer = boost::asio::co_spawn(context, fetch(std::move(request), &sent), boost::asio::use_future);
        context.run();
        answer.get();
        return sent;
    };
    FakeProvider good;
    EXPECT_TRUE(sent_by(messages_at(good)));
    HttpRequest nobody = messages_at(good);
    good.stop();
    EXPECT_FALSE(sent_by(nobody));
    TestCa ca;
    FakeProviderOptions options;
    options.tls = ca.issue({"localhost"});
    FakeProvider untrusted({}, options);
    EXPECT_FALSE(sent_by(messages_at(untrusted, true)));
}

TEST(HttpClient, AnErrorStatusIsAnAnswer) {
    FakeProvider provider(script_of({status_step(529)}));
    Result<HttpResponse> answer = ask(messages_at(provider));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 529u);
}

TEST(HttpClient, PassesOverInformationalAnswers) {
    Step early;
    early.informational = 3;
    Step endless;
    endless.informational = 100;
    FakeProvider provider(script_of({early, endless}));
    Result<HttpResponse> answer = ask(messages_at(provider));
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->status, 200u);
    EXPECT_NE(answer->body.find("\"message\""), std::string::npos);
    EXPECT_FALSE(ask(messages_at(provider)));
}

TEST(HttpClient, VerifiesWhoAnswers) {
    TestCa ca;
    FakeProviderOptions options;
    options.tls = ca.issue({"localhost"});
    FakeProvider provider({}, options);
    HttpRequest request = messages_at(provider, true);
    Result<HttpResponse> unknown = ask(request);
    ASSERT_FALSE(unknown);
    EXPECT_NE(unknown.error().text().find("TLS handshake"), std::string::npos);
    request.ca_pem = ca.certificate_pem();
    Result<HttpResponse> known = ask(request);
    ASSERT_TRUE(known) << known.error().text();
    EXPECT_EQ(known->status, 200u);
    request.host = "127.0.0.1";
    EXPECT_FALSE(ask(request)) << "the certificate is for another name";
}

TEST(HttpClient, SaysAtWhichStepItFailed) {
    FakeProvider provider;
    HttpRequest request = messages_at(provider);
    provider.stop();
    Result<HttpResponse> answer = ask(request);
    ASSERT_FALSE(answer);
    EXPECT_NE(answer.error().text().find("connecting to 127.0.0.1:"), std::string::npos);

    Step silent;
    silent.delay = milliseconds(60'000);
    FakeProvider slow(script_of({silent}));
    request = messages_at(slow);
    request.timeout = Milliseconds(100);
    answer = ask(request);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, boost::system::errc::timed_out);
    EXPECT_NE(answer.error().text().find("not done within 100 ms"), std::string::npos)
        << answer.error().text();

    FakeProvider broken(script_of({break_step(Break::How::kClose, Break::After::kBodyBytes, 3)}));
    EXPECT_FALSE(ask(messages_at(broken)));
    Step garbage;
    garbage.garbage_head = true;
    FakeProvider odd(script_of({garbage}));
    EXPECT_FALSE(ask(messages_at(odd)));
}

TEST(HttpClient, ReadsNoMoreThanItMay) {
    Step large;
    large.message.text_bytes = 100'000;
    FakeProvider provider(script_of({large}));
    HttpRequest request = messages_at(provider);
    request.answer_bytes_max = 10'000;
    EXPECT_FALSE(ask(request));
    request.answer_bytes_max = 1'000'000;
    EXPECT_TRUE(ask(request));
}

}  // namespace
}  // namespace balancer
