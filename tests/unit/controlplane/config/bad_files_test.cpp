#include <gmock/gmock.h>

#include "config_fixture.hpp"

namespace balancer::controlplane {
namespace {

using ::testing::HasSubstr;

// One mistake, and the whole line that a person reads about it, as to_string() gives it.
struct Case {
    const char* name;
    std::string yaml;
    std::string problem;
};

class BadFile : public ::testing::TestWithParam<Case> {};

TEST_P(BadFile, IsRefusedWithPlaceAndAdvice) {
    std::vector<ConfigProblem> problems = bad(parse(GetParam().yaml));
    ASSERT_EQ(problems.size(), 1U) << all_of(problems);
    EXPECT_EQ(to_string(problems[0]), GetParam().problem);
}

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
    return info.param.name;
}

// Line 7 of minimal(), at column 5 of a key.
std::vector<Case> provider_cases() {
    auto with = [](const std::string& line) { return minimal("    " + line + "\n"); };
    return {
        {"UnknownKey",
         with("wieght: 3"),
         "config.yaml:7:5: providers[0].wieght: unknown key; did you mean 'weight'?"},
        {"AccountsOfAKey",
         with("accounts: [a]"),
         "config.yaml:7:15: providers[0].accounts: only a provider with auth_type: oauth has accounts"},
        {"TokensInClear",
         minimal("", "settings: {oauth: {token_url: 'http://evil.example/t'}}\n"),
         "config.yaml:10:31: settings.oauth.token_url: tokens would cross the network in clear; "
         "https, or http on 127.0.0.1, [::1] or localhost"},
        {"NoUrl",
         minimal("", "settings: {oauth: {token_url: nowhere}}\n"),
         "config.yaml:10:31: settings.oauth.token_url: 'nowhere' cannot be used: it begins with neither https:// nor http://; "
         "write it like https://example.com/path"},
        {"UnknownKeyLikeNoOther",
         with("colour: red"),
         "config.yaml:7:5: providers[0].colour: unknown key"},
        {"RemovedKey",
         with("big_model: x"),
         "config.yaml:7:5: providers[0].big_model: no longer exists; give model names in "
         "model_routes"},
        {"DuplicateKey",
         with("type: openai"),
         "config.yaml:7:5: providers[0].type: given twice, first in line 3; remove one of the two"},
        {"WrongTypeForText",
         with("ca_file: [a]"),
         "config.yaml:7:14: providers[0].ca_file: expected text, found a list"},
        {"WrongTypeForBool",
         with("enabled: maybe"),
         "config.yaml:7:14: providers[0].enabled: expected true or false, found 'maybe'"},
        {"QuotedNumber",
         with("weight: '3'"),
         "config.yaml:7:13: providers[0].weight: expected a whole number, found the text '3'; "
         "remove the quotes"},
        {"FractionForWhole",
         with("weight: 1.5"),
         "config.yaml:7:13: providers[0].weight: expected a whole number, found '1.5'"},
        {"UnknownCapability",
         with("capabilities: {context_managment: false}"),
         "config.yaml:7:20: providers[0].capabilities.context_managment: unknown key; did you mean "
         "'context_management'?"},
        {"CapabilityOfTheOtherType",
         with("capabilities: {reasoning_effort: true}"),
         "config.yaml:7:38: providers[0].capabilities.reasoning_effort: only a provider of type openai has this; take "
         "it out"},
        {"BetaHeadersOfAnUnknownWord",
         with("capabilities: {beta_headers: some}"),
         "config.yaml:7:34: providers[0].capabilities.beta_headers: 'some' is none of: all, none, a list; write a list "
         "like [claude-code-*, interleaved-thinking-*]"},
        {"EmptySignatures",
         with("signatures: ''"),
         "config.yaml:7:17: providers[0].signatures: is empty; write anthropic, own, or a word for the issuer"},
        {"OutOfRange",
         with("weight: 1001"),
         "config.yaml:7:13: providers[0].weight: 1001 is not between 1 and 1000"},
        {"BadEnum",
         with("streaming_mode: dirct"),
         "config.yaml:7:21: providers[0].streaming_mode: 'dirct' is not one of auto, direct, "
         "background; did you mean 'direct'?"},
        {"ProxyOfUnknownKind",
         with("proxy: ftp://user:hunter2@p:1"),
         "config.yaml:7:12: providers[0].proxy: a proxy is http://HOST:PORT or socks5://HOST:PORT, "
         "with user:password@ before HOST if it asks for it"},
        {"ProxyOverTls",
         with("proxy: https://user:hunter2@p:1"),
         "config.yaml:7:12: providers[0].proxy: a proxy that is itself spoken to over TLS (https://) is not supported: "
         "give it as http:// or socks5:// if it listens for one of these"},
        {"UnknownTimeout",
         with("timeouts: {conect: 1}"),
         "config.yaml:7:16: providers[0].timeouts.conect: unknown key; did you mean 'connect'?"},
        {"NegativeTimeout",
         with("timeouts: {idle: -1}"),
         "config.yaml:7:22: providers[0].timeouts.idle: -1 is not between 0 and 2592000 seconds"},
        {"TimeoutThatIsNoNumber",
         with("timeouts: {idle: .nan}"),
         "config.yaml:7:22: providers[0].timeouts.idle: expected a number of seconds, found "
         "'.nan'"},
        {"HeaderName",
         with("headers: {'a b': c}"),
         "config.yaml:7:15: providers[0].headers['a b']: not a header name"},
        {"FramingHeader",
         with("headers: {Content-Length: 3}"),
         "config.yaml:7:15: providers[0].headers.Content-Length: this header is written by the "
         "balancer itself"},
        {"HeaderTwice",
         with("headers: {x-a: 1, X-A: 2}"),
         "config.yaml:7:23: providers[0].headers.X-A: given twice; case does not matter in a "
         "header name"},
        {"HeaderWithLineBreak",
         with("headers: {x-a: \"1\\r\\n2\"}"),
         "config.yaml:7:20: providers[0].headers.x-a: holds a line break or another control "
         "character"},
        {"MissingCaFile",
         with("ca_file: not-there.pem"),
         "config.yaml:7:14: providers[0].ca_file: cannot read not-there.pem: No such file or "
         "directory"},
        {"Tag",
         with("proxy: !secret abc"),
         "config.yaml:7:12: providers[0].proxy: a tag (a word that begins with '!') means nothing "
         "here; quote the text if the '!' belongs to it"},
    };
}

// Replaces once.
std::string replaced(const std::string& from, const std::string& to) {
    std::string yaml = minimal();
    yaml.replace(yaml.find(from), from.size(), to);
    return yaml;
}

std::vector<Case> required_cases() {
    return {
        {"MissingType",
         replaced("    type: anthropic\n", ""),
         "config.yaml:2:5: providers[0].type: required, but missing"},
        {"TypeWithoutValue",
         replaced("type: anthropic", "type:"),
         "config.yaml:3:5: providers[0].type: required, but has no value"},
        {"TypeOfTheDocsOnly",
         replaced("type: anthropic", "type: zed"),
         "config.yaml:3:11: providers[0].type: 'zed' is not one of anthropic, openai"},
        {"MissingAuthType",
         replaced("    auth_type: api_key\n", ""),
         "config.yaml:2:5: providers[0].auth_type: required, but missing"},
        {"MissingAuthValue",
         replaced("    auth_value: key-of-a\n", ""),
         "config.yaml:2:5: providers[0].auth_value: required, but missing"},
        {"EmptyAuthValue",
         replaced("key-of-a", "''"),
         "config.yaml:6:17: providers[0].auth_value: must not be empty"},
        {"AccountsThatAreNoList",
         replaced("auth_type: api_key\n    auth_value: key-of-a", "auth_type: oauth\n    accounts: me"),
         "config.yaml:6:15: providers[0].accounts: expected a list, found 'me'"},
        {"TheNameOfAnAccount",
         "providers:\n"
         "  - {name: a/x, type: anthropic, base_url: 'https://b.example', auth_type: api_key, auth_value: key-of-b}\n"
         "  - {name: a, type: anthropic, base_url: 'https://api.anthropic.com', auth_type: oauth}\n"
         "model_routes: {'*': [{provider: a, model: passthrough, priority: 1}]}\n",
         "config.yaml:2:5: providers[0].name: 'a/x' would be the name of an account of 'a'; give it another name"},
        {"BaseUrlWithoutScheme",
         replaced("https://a.example", "a.example"),
         "config.yaml:4:15: providers[0].base_url: 'a.example' cannot be used as a base URL; write "
         "it like https://api.anthropic.com, with http or https, and without user, query or "
         "fragment"},
        {"NoEnabledProvider",
         minimal("    enabled: false\n"),
         "config.yaml:2:3: providers: no provider is enabled"},
        {"EmptyName",
         "providers: [{name: '', type: openai, base_url: http://a, auth_type: api_key, auth_value: "
         "k}]\n"
         "model_routes: {m: []}\n",
         "config.yaml:1:20: providers[0].name: a name has 1 to 128 bytes and no control "
         "characters"},
        {"EmptyProviders",
         "providers: []\nmodel_routes: {m: []}\n",
         "config.yaml:1:12: providers: at least one provider is needed"},
        {"ProvidersThatAreNoList",
         "providers: {a: 1}\nmodel_routes: {m: []}\n",
         "config.yaml:1:12: providers: expected a list, found a map"},
        {"DuplicateProvider",
         replaced(
             "model_routes",
             "  - {name: a, type: anthropic, base_url: https://b.example, auth_type: api_key, "
             "auth_value: k}\nmodel_routes"
         ),
         "config.yaml:7:12: providers[1].name: a second provider named 'a', the first is in line "
         "2; "
         "give each provider a name of its own"},
        {"ProviderThatIsNoMap",
         replaced("model_routes", "  - lonely\nmodel_routes"),
         "config.yaml:7:5: providers[1]: expected a map of keys and values, found text"},
        {"TopLevelAuth",
         minimal() + "auth: {enabled: true}\n",
         "config.yaml:10:1: auth: no longer exists; it belongs under settings: settings.auth"},
        {"TopLevelSlip",
         minimal() + "setings: {}\n",
         "config.yaml:10:1: setings: unknown key; did you mean 'settings'?"},
    };
}

std::vector<Case> route_cases() {
    auto target = [](const std::string& text) {
        return minimal() + "  m:\n    - {" + text + "}\n";
    };
    return {
        {"MissingRoutes",
         replaced(
             "model_routes:\n  \"*\":\n    - {provider: a, model: passthrough, priority: 1}\n", ""
         ),
         "config.yaml:1:1: model_routes: required, but missing"},
        {"EmptyRoutes",
         replaced("\n  \"*\":\n    - {provider: a, model: passthrough, priority: 1}", " {}"),
         "config.yaml:7:15: model_routes: at least one route is needed"},
        {"DanglingProvider",
         replaced(
             "key-of-a\nmodel",
             "key-of-a\n  - {name: reseller, type: anthropic, base_url: "
             "https://b.example, auth_type: api_key, auth_value: k}\nmodel"
         ) + "  m:\n    - {provider: resller, model: x, priority: 1}\n",
         "config.yaml:12:18: model_routes.m[0].provider: there is no provider named 'resller'; did "
         "you mean 'reseller'?"},
        {"TargetWithoutPriority",
         target("provider: a, model: x"),
         "config.yaml:11:7: model_routes.m[0].priority: required, but missing"},
        {"EmptyModel",
         target("provider: a, model: '', priority: 1"),
         "config.yaml:11:28: model_routes.m[0].model: must not be empty; 'passthrough' keeps the "
         "client's name"},
        {"PriorityOutOfRange",
         target("provider: a, model: x, priority: 3000000000"),
         "config.yaml:11:41: model_routes.m[0].priority: 3000000000 is not between -2147483648 and "
         "2147483647"},
        {"WeightOnATarget",
         target("provider: a, model: x, priority: 1, weight: 2"),
         "config.yaml:11:44: model_routes.m[0].weight: no longer exists; a weight belongs to a "
         "provider: providers[].weight"},
        {"TargetThatIsNoMap",
         minimal() + "  m: [a]\n",
         "config.yaml:10:7: model_routes.m[0]: expected a map of keys and values, found text"},
        {"RouteThatIsNoList",
         minimal() + "  m: a\n",
         "config.yaml:10:6: model_routes.m: expected a list, found 'a'"},
        {"EmptyPattern",
         minimal() + "  '': []\n",
         "config.yaml:10:3: model_routes['']: a pattern must not be empty"},
        {"PatternTwice",
         minimal() + "  '*': []\n",
         "config.yaml:10:3: model_routes['*']: given twice, first in line 8; remove one of the two"
        },
        {"GlobTwiceByCase",
         minimal() + "  '*Opus*': []\n  '*opus**': []\n",
         "config.yaml:11:3: model_routes['*opus**']: matches the same names as the pattern in line "
         "10"},
    };
}

std::vector<Case> settings_cases() {
    auto with = [](const std::string& line) { return minimal("", "settings:\n  " + line + "\n"); };
    return {
        {"UnknownSetting",
         with("failure_coldown: 3"),
         "config.yaml:11:3: settings.failure_coldown: unknown key; did you mean "
         "'failure_cooldown'?"},
        {"BadStrategy",
         with("selection_strategy: roundrobin"),
         "config.yaml:11:23: settings.selection_strategy: 'roundrobin' is not one of priority, "
         "round_robin, random; did you mean 'round_robin'?"},
        {"BadRegex",
         with("unhealthy_response_body_patterns: [ok, '(a']"),
         "config.yaml:11:42: settings.unhealthy_response_body_patterns[1]: '(a' is not a regular "
         "expression: missing ): (a; RE2 syntax: no look-around, no back references; put a \\ "
         "before a special character"},
        {"RegexOfNothing",
         with("unhealthy_response_body_patterns: ['']"),
         "config.yaml:11:38: settings.unhealthy_response_body_patterns[0]: an empty pattern is found in every text; "
         "remove it"},
        {"WordOfNothing",
         with("unhealthy_exception_patterns: [timeout, '']"),
         "config.yaml:11:43: settings.unhealthy_exception_patterns[1]: an empty pattern is found in every text; remove "
         "it"},
        {"ExemptPathThatIsNone",
         with("auth: {exempt_paths: [health]}"),
         "config.yaml:11:25: settings.auth.exempt_paths[0]: 'health' is no path: it must begin with '/'; /health"},
        {"BadStatus",
         with("unhealthy_http_codes: [500, 5000]"),
         "config.yaml:11:31: settings.unhealthy_http_codes[1]: 5000 is not between 100 and 599"},
        {"ZeroThreshold",
         with("unhealthy_threshold: 0"),
         "config.yaml:11:24: settings.unhealthy_threshold: 0 is not between 1 and 1000000"},
        {"BadSize",
         with("limits: {body_bytes: 64MiBi}"),
         "config.yaml:11:24: settings.limits.body_bytes: expected a number of bytes, such as 65536 "
         "or 64KiB, found '64MiBi'"},
        {"SizeThatOverflows",
         with("limits: {body_bytes: 99999999999GiB}"),
         "config.yaml:11:24: settings.limits.body_bytes: expected a number of bytes, such as 65536 "
         "or 64KiB, found '99999999999GiB'"},
        {"BodyMemoryBelowBody",
         with("limits: {body_memory_bytes: 2MiB}"),
         "config.yaml:11:31: settings.limits.body_memory_bytes: less than body_bytes, 67108864: no "
         "such body could be accepted"},
        {"BadPort",
         with("port: 65536"),
         "config.yaml:11:9: settings.port: 65536 is not between 0 and 65535"},
        {"BadHost",
         with("host: balancer.example"),
         "config.yaml:11:9: settings.host: 'balancer.example' is not an address; 127.0.0.1 for "
         "this machine only, 0.0.0.0 or '::' for every interface"},
        {"TrustedProxyByName",
         with("trusted_proxies: [10.0.0.0/8, proxy.example]"),
         "config.yaml:11:33: settings.trusted_proxies[1]: 'proxy.example' is not an address or a block of them, such as "
         "10.0.0.7, 10.0.0.0/8 or 2001:db8::/32"},
        {"TrustedBlockWithABitTooMany",
         with("trusted_proxies: [10.0.0.0/8, 10.1.2.3/8]"),
         "config.yaml:11:33: settings.trusted_proxies[1]: '10.1.2.3/8' has bits behind its first 8: 10.0.0.0/8 is that block"},
        {"BadLogLevel",
         with("log_level: inf"),
         "config.yaml:11:14: settings.log_level: 'INF' is not one of DEBUG, INFO, WARNING, ERROR; "
         "did you mean 'INFO'?"},
        {"BadDedupType",
         with("deduplication: {enabled: 3}"),
         "config.yaml:11:28: settings.deduplication.enabled: expected true or false, found '3'"},
        {"AuthWithoutKey",
         with("auth: {enabled: true, api_key: ''}"),
         "config.yaml:11:19: settings.auth.enabled: enabled without a key: every client would be "
         "refused; give settings.auth.api_key or settings.auth.api_keys"},
        {"KeyNameTwice",
         with("auth: {api_key: k0, api_keys: [{name: default, key: k1}]}"),
         "config.yaml:11:55: settings.auth.api_keys[0].key: a second key is named 'default'"},
        {"SameKeyTwice",
         with("auth: {api_key: k0, api_keys: [{name: x, key: k0}]}"),
         "config.yaml:11:49: settings.auth.api_keys[0].key: the same key as the one named "
         "'default'"},
        {"KeyWithoutName",
         with("auth: {api_keys: [{key: k0}]}"),
         "config.yaml:11:21: settings.auth.api_keys[0].name: required, but missing"},
    };
}

INSTANTIATE_TEST_SUITE_P(Providers, BadFile, ::testing::ValuesIn(provider_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Required, BadFile, ::testing::ValuesIn(required_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Routes, BadFile, ::testing::ValuesIn(route_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Settings, BadFile, ::testing::ValuesIn(settings_cases()), name_of);

TEST(BadFiles, AreReportedWithEveryProblemInFileOrder) {
    std::vector<ConfigProblem> problems = bad(parse(minimal(
        "    wieght: 3\n    enabled: maybe\n",
        "settings: {port: -1, log_level: loud, nonsense: 1}\n"
    )));
    ASSERT_EQ(problems.size(), 5U) << all_of(problems);
    EXPECT_EQ(problems[0].path, "providers[0].wieght");
    EXPECT_EQ(problems[1].path, "providers[0].enabled");
    EXPECT_EQ(problems[2].path, "settings.port");
    EXPECT_EQ(problems[3].path, "settings.log_level");
    EXPECT_EQ(problems[4].path, "settings.nonsense");
}

TEST(BadFiles, NameTheFileThatIsMissing) {
    std::vector<ConfigProblem> problems =
        bad(load_config("/nonexistent/config.yaml", environment_of({})));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].line, 0U);
    EXPECT_THAT(to_string(problems[0]), HasSubstr("cannot read /nonexistent/config.yaml"));
}

TEST(BadFiles, NameACaFileWithoutACertificate) {
    TemporaryFolder folder;
    write(folder / "ca.pem", "-----BEGIN CERTIFICATE-----\nnot one\n-----END CERTIFICATE-----\n");
    std::vector<ConfigProblem> problems = bad(
        parse_config(minimal("    ca_file: ca.pem\n"), folder / "config.yaml", environment_of({}))
    );
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].message, "'ca.pem' holds no PEM certificate");
}

// A self-signed certificate of a throw-away key.
constexpr const char* kCertificate =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBbjCCARWgAwIBAgIUS9ZPWPltv79vRwUDrjqOtwruJq8wCgYIKoZIzj0EAwIw\n"
    "DDEKMAgGA1UEAwwBdDAgFw0yNjExMjMwMDA3NDNaGA8yMTI2MTAzMDAwMDc0M1ow\n"
    "DDEKMAgGA1UEAwwBdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDsD3mB8iV2K\n"
    "J68EXovs2bQya2g1/J3Kx+s3fwH7dxPmAn/tj29YIIvxb1KD59od+5Yavw/dL6mC\n"
    "H3m+vv2SM7ijUzBRMB0GA1UdDgQWBBSutK5O5YfC7gLkUHo2HyjSnDVsPDAfBgNV\n"
    "HSMEGDAWgBSutK5O5YfC7gLkUHo2HyjSnDVsPDAPBgNVHRMBAf8EBTADAQH/MAoG\n"
    "CCqGSM49BAMCA0cAMEQCIElnp2Aw68E1juT1kxHNnzyugG3gHgziy/yV9altSDUi\n"
    "AiAMom/+Ge160hR9MRuAWpGHIof8VdPHJkOyPpNCxNEkHA==\n"
    "-----END CERTIFICATE-----\n";

TEST(GoodFiles, CarryTheTextOfACaFile) {
    TemporaryFolder folder;
    write(folder / "ca.pem", kCertificate);
    LoadedConfig loaded = good(
        parse_config(minimal("    ca_file: ca.pem\n"), folder / "config.yaml", environment_of({}))
    );
    EXPECT_EQ(loaded.config.providers(0).ca_pem(), kCertificate);
}

}  // namespace
}  // namespace balancer::controlplane
