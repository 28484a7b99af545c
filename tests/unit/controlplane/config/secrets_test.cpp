#include <gmock/gmock.h>

#include "base/file.hpp"
#include "config_fixture.hpp"

namespace balancer::controlplane {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string with_value(const std::string& auth_value) {
    std::string yaml = minimal();
    yaml.replace(yaml.find("key-of-a"), 8, auth_value);
    return yaml;
}

std::string sent_for(const LoadResult& result) {
    LoadedConfig loaded = good(result);
    if (loaded.credentials.credentials_size() != 1) return "(none)";
    return loaded.credentials.credentials(0).header_value();
}

TEST(Secrets, TakeEnvironmentVariablesAnywhereInTheText) {
    EXPECT_EQ(sent_for(parse(with_value("${KEY}"), {{"KEY", "abc"}})), "abc");
    EXPECT_EQ(
        sent_for(parse(with_value("'p-${A}${B_2}-s'"), {{"A", "1"}, {"B_2", "2"}})), "p-12-s"
    );
}

TEST(Secrets, TakeAVariablesValueAsItIs) {
    EXPECT_EQ(
        sent_for(parse(with_value("${KEY}"), {{"KEY", "file:${KEY} $${"}})), "file:${KEY} $${"
    );
}

TEST(Secrets, KeepAnEscapedDollarAndALoneOne) {
    EXPECT_EQ(sent_for(parse(with_value("'a$${KEY}$b$'"))), "a${KEY}$b$");
}

TEST(Secrets, ComeFromAFileWithoutItsLineEnd) {
    TemporaryFolder folder;
    write(folder / "key", "from-file\r\n");
    EXPECT_EQ(
        sent_for(parse_config(with_value("file:key"), folder / "config.yaml", environment_of({}))),
        "from-file"
    );
    EXPECT_EQ(
        sent_for(parse(
            with_value("'file:${DIR}/key'"), {{"DIR", (folder / "key").parent_path().string()}}
        )),
        "from-file"
    );
}

TEST(Secrets, NameTheVariableOrFileThatIsMissing) {
    std::vector<ConfigProblem> problems = bad(parse(with_value("${NOT_SET}")));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(
        to_string(problems[0]),
        "config.yaml:6:17: providers[0].auth_value: the environment variable NOT_SET is not set"
    );
    problems = bad(parse(with_value("file:/nonexistent/key")));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_THAT(problems[0].message, HasSubstr("cannot read /nonexistent/key"));
}

TEST(Secrets, ApplyToProxiesHeadersAndClientKeys) {
    LoadedConfig loaded = good(parse(
        minimal(
            "    proxy: 'socks5://u:${P}@127.0.0.1:1080'\n    headers: {x-token: '${P}'}\n",
            "settings:\n  auth: {enabled: true, api_key: '${K}', api_keys: [{name: x, key: "
            "'${P}'}]}\n"
        ),
        {{"P", "pw"}, {"K", "ck"}}
    ));
    EXPECT_EQ(loaded.config.providers(0).proxy_url(), "socks5://u:pw@127.0.0.1:1080");
    EXPECT_EQ(loaded.config.providers(0).headers(0).value(), "pw");
    EXPECT_EQ(loaded.config.settings().auth().keys(0).sha256(), sha256("ck"));
    EXPECT_EQ(loaded.config.settings().auth().keys(1).sha256(), sha256("pw"));
}

TEST(Secrets, ArePassedThroughOnlyForTheExactWord) {
    LoadedConfig exact = good(parse(with_value("passthrough")));
    EXPECT_EQ(exact.config.providers(0).auth_type(), v1::AUTH_TYPE_PASSTHROUGH);
    EXPECT_EQ(exact.config.providers(0).credential_ref(), "");
    EXPECT_EQ(exact.credentials.credentials_size(), 0);
    EXPECT_EQ(sent_for(parse(with_value("Passthrough"))), "Passthrough");
}

TEST(Secrets, GoToAnOpenaiProviderAsABearerToken) {
    std::string yaml = with_value("k");
    yaml.replace(yaml.find("type: anthropic"), 15, "type: openai");
    LoadedConfig loaded = good(parse(yaml));
    EXPECT_EQ(loaded.credentials.credentials(0).header_name(), "authorization");
    EXPECT_EQ(loaded.credentials.credentials(0).header_value(), "Bearer k");
}

TEST(Secrets, AreNotNeededForOauth) {
    std::string yaml = with_value("${NOT_SET}");
    yaml.replace(yaml.find("auth_type: api_key"), 18, "auth_type: oauth");
    LoadedConfig loaded = good(parse(yaml));
    EXPECT_EQ(loaded.config.providers(0).auth_type(), v1::AUTH_TYPE_OAUTH);
    EXPECT_EQ(loaded.credentials.credentials_size(), 0);
}

TEST(Secrets, ReachTheSectionsOnlyWhereTheyMust) {
    LoadedConfig loaded = good(parse(
        with_value("canary-credential") +
        "settings: {auth: {enabled: true, api_key: canary-client-key}}\n"
    ));
    EXPECT_THAT(loaded.config.SerializeAsString(), Not(HasSubstr("canary")));
    EXPECT_THAT(loaded.credentials.SerializeAsString(), Not(HasSubstr("canary-client-key")));
    for (const std::string& notice : loaded.notices) EXPECT_THAT(notice, Not(HasSubstr("canary")));
}

// Whatever is wrong around a secret, the text about it does not repeat it.
TEST(Secrets, NeverAppearInAProblem) {
    const std::map<std::string, std::string> environment = {{"C", "sk-ant-canary\n-1"}};
    for (const std::string& yaml : std::vector<std::string>{
             with_value("${C}"),
             with_value("canary${"),
             with_value("'${canary!}'"),
             with_value("*canary"),
             with_value("[sk-ant-canary]"),
             with_value("{canary: 1}"),
             with_value("\"canary\\x\""),
             with_value("!canary x"),
             with_value("canary: more"),
             with_value("\"canary\\r\""),
             minimal("    proxy: https://u:canary@h\n"),
             minimal("    proxy: 'u:canary@h'\n"),
             minimal("    weight: sk-ant-canary-123456\n"),
             minimal("    headers: {x-a: [canary]}\n"),
             minimal("    headers: {x-a: \"canary\\n\"}\n"),
             minimal("    headers: canary\n"),
             minimal("", "settings: {auth: {api_key: [canary]}}\n"),
             minimal("", "settings: {auth: {api_keys: [{name: a, key: \"canary\\n\"}]}}\n"),
             minimal("", "settings: {auth: canary}\n"),
             minimal(
                 "", "settings: {auth: {api_key: canary, api_keys: [{name: a, key: canary}]}}\n"
             ),
             minimal("", "settings: {oauth: {proxy: 'ftp://u:canary@h'}}\n"),
             "providers:\n  - {name: a, type: anthropic, base_url: 'ftp://u:canary@h', auth_type: "
             "api_key, auth_value: k}\nmodel_routes: {m: []}\n",
             "providers:\n  - {name: a, type: anthropic, base_url: 'https://u:canary@h', "
             "auth_type: "
             "api_key, auth_value: k}\nmodel_routes: {m: []}\n",
         }) {
        EXPECT_THAT(all_of(bad(parse(yaml, environment))), Not(HasSubstr("canary"))) << yaml;
    }
}

}  // namespace
}  // namespace balancer::controlplane
