#include "controlplane/config/moved_credentials.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace balancer::controlplane {
namespace {

LoadedConfig load(const std::string& providers, const std::string& settings = "{}") {
    LoadResult result = parse_config(
        fmt::format(
            "providers: [{}, {{name: z, type: anthropic, base_url: 'http://z', auth_type: api_key, auth_value: k}}]\n"
            "model_routes: {{'*': [{{provider: z, model: passthrough, priority: 1}}]}}\nsettings: {}\n",
            providers,
            settings
        ),
        "config.yaml",
        [](const std::string&) { return std::optional<std::string>(); }
    );
    auto* problems = std::get_if<std::vector<ConfigProblem>>(&result);
    EXPECT_EQ(problems, nullptr) << to_string(problems->front());
    return problems == nullptr ? std::get<LoadedConfig>(std::move(result)) : LoadedConfig();
}

std::string provider(const std::string& url, const std::string& auth = "auth_type: api_key, auth_value: k") {
    return fmt::format("{{name: a, type: anthropic, base_url: '{}', {}}}", url, auth);
}

std::string moved(const LoadedConfig& from, const LoadedConfig& to) {
    std::string all;
    for (const MovedCredential& one : moved_credentials(from, to)) all += to_string(one) + "\n";
    return all;
}

TEST(MovedCredentials, AreThoseOfAnotherOrigin) {
    LoadedConfig from = load(provider("https://a.example/v1"));
    EXPECT_EQ(
        moved(from, load(provider("https://b.example/v1"))),
        "the credential of provider 'a' will from now on go to https://b.example rather than to https://a.example\n"
    );
    EXPECT_NE(moved(from, load(provider("http://a.example/v1"))), "") << "in clear";
    EXPECT_NE(moved(from, load(provider("https://a.example:8443/v1"))), "");
    EXPECT_EQ(moved(from, load(provider("https://a.example:443/v2"))), "");
    EXPECT_EQ(moved(from, load(provider("https://A.example"))), "");
}

TEST(MovedCredentials, AccountsCountAndClientsOwnCredentialsDoNot) {
    const std::string oauth = "auth_type: oauth";
    EXPECT_EQ(
        moved(load(provider("https://api.anthropic.com", oauth)), load(provider("https://[::1]:9", oauth))),
        "the access tokens of provider 'a' will from now on go to https://[::1]:9 rather than to https://api.anthropic.com\n"
    );
    const std::string passthrough = "auth_type: api_key, auth_value: passthrough";
    EXPECT_EQ(moved(load(provider("https://a", passthrough)), load(provider("https://b", passthrough))), "");
    EXPECT_EQ(moved(load(provider("https://a")), load(provider("https://b", oauth))), "") << "another credential";
    EXPECT_EQ(moved(load(provider("https://a")), load("{name: n, type: anthropic, base_url: 'http://n', auth_type: oauth}")), "");
}

TEST(MovedCredentials, RefreshTokensGoToTheTokenEndpoint) {
    LoadedConfig from = load(provider("https://a"));
    LoadedConfig to = load(provider("https://a"), "{oauth: {token_url: 'https://other.example/token'}}");
    EXPECT_EQ(
        moved(from, to),
        "the refresh tokens of accounts will from now on go to https://other.example rather than to "
        "https://console.anthropic.com\n"
    );
}

TEST(MovedCredentials, AccessTokensForOthersThanAnthropicAreAlwaysANotice) {
    auto notice = [](const std::string& url) {
        std::string all;
        for (const std::string& one : load(provider(url, "auth_type: oauth")).notices) all += one + "\n";
        return all.find("access tokens of your accounts go to") != std::string::npos;
    };
    EXPECT_FALSE(notice("https://api.anthropic.com"));
    EXPECT_FALSE(notice("https://api.anthropic.com:443/"));
    for (const char* url : {"https://gateway.example", "http://api.anthropic.com", "https://api.anthropic.com:8443"}) {
        EXPECT_TRUE(notice(url)) << url;
    }
}

}  // namespace
}  // namespace balancer::controlplane
