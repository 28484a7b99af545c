// Edits of the text: what is asked for, nothing else, and the operator's comments stay.
#include "controlplane/config/yaml_edit.hpp"

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "controlplane/config/edits.hpp"
#include "controlplane/config/load.hpp"

namespace balancer::controlplane {
namespace {

const std::string kYaml = R"(# the whole file
providers:
  # first of all
  - name: alpha          # our own
    type: anthropic
    base_url: https://a.example
    auth_type: api_key
    auth_value: "${A_KEY}"   # from the vault
    # weight: 3
  # the reserve
  - name: beta
    type: anthropic
    base_url: https://b.example
    auth_type: api_key
    auth_value: 'it''s quoted'
    weight: 2

model_routes:
  "*opus*":
    - {provider: alpha, model: passthrough, priority: 1}   # first
    - provider: beta
      model: big
      priority: 2

  "*":   # the rest
    - {provider: beta, model: passthrough, priority: 1}

settings:
  log_level: INFO   # quiet
)";

YamlEdit edit_of(const std::string& yaml) {
    Result<YamlEdit> edit = YamlEdit::begin(yaml);
    EXPECT_TRUE(edit.has_value());
    return *std::move(edit);
}

std::string finished(const YamlEdit& edit) {
    Result<std::string> yaml = edit.finish();
    EXPECT_TRUE(yaml.has_value()) << (yaml ? "" : yaml.error().text());
    return yaml ? *yaml : std::string();
}

// `text` with `what` replaced by `by`, which must be there.
std::string replaced(std::string text, const std::string& what, const std::string& by) {
    std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    if (at != std::string::npos) text.replace(at, what.size(), by);
    return text;
}

TEST(YamlEdit, SetsAValueAndLeavesEveryOtherByte) {
    YamlEdit edit = edit_of(kYaml);
    ASSERT_TRUE(update_provider(edit, "alpha", {{"base_url", text_scalar("https://new.example/x")}})
    );
    EXPECT_FALSE(edit.rewritten());
    EXPECT_EQ(finished(edit), replaced(kYaml, "https://a.example", "https://new.example/x"));
}

TEST(YamlEdit, SetsQuotedValuesAndKeepsTheCommentBehindThem) {
    YamlEdit edit = edit_of(kYaml);
    ASSERT_TRUE(update_provider(edit, "alpha", {{"auth_value", text_scalar("file:/run/a: #1")}}));
    ASSERT_TRUE(update_provider(edit, "beta", {{"auth_value", text_scalar("${B}")}}));
    EXPECT_FALSE(edit.rewritten());
    std::string expected = replaced(kYaml, "\"${A_KEY}\"", "\"file:/run/a: #1\"");
    EXPECT_EQ(finished(edit), replaced(expected, "'it''s quoted'", "\"${B}\""));
}

TEST(YamlEdit, AddsAKeyBehindTheLastOneAndTakesOneOut) {
    YamlEdit edit = edit_of(kYaml);
    ASSERT_TRUE(update_provider(
        edit, "alpha", {{"weight", plain_scalar("7")}, {"max_concurrency", plain_scalar("4")}}
    ));
    ASSERT_TRUE(update_provider(edit, "beta", {{"weight", std::nullopt}}));
    EXPECT_FALSE(edit.rewritten());
    std::string expected = replaced(
        kYaml, "from the vault\n", "from the vault\n    weight: 7\n    max_concurrency: 4\n"
    );
    EXPECT_EQ(finished(edit), replaced(expected, "    weight: 2\n", ""));
}

TEST(YamlEdit, TakesTheFirstKeyOfAnItemOut) {
    YamlEdit edit = edit_of("list:\n  - a: 1\n    b: 2\n  - c: 3\n");
    edit.remove_key({"list", std::size_t{0}}, "a");
    EXPECT_FALSE(edit.rewritten());
    EXPECT_EQ(finished(edit), "list:\n  - b: 2\n  - c: 3\n");
}

TEST(YamlEdit, AddsAProviderBehindTheLastOne) {
    YamlEdit edit = edit_of(kYaml);
    ASSERT_TRUE(add_provider(
        edit,
        "gamma",
        {{"type", text_scalar("anthropic")},
         {"auth_value", text_scalar("${C_KEY}")},
         {"weight", plain_scalar("5")}}
    ));
    EXPECT_FALSE(edit.rewritten());
    EXPECT_EQ(
        finished(edit),
        replaced(
            kYaml,
            "    weight: 2\n",
            "    weight: 2\n  - name: gamma\n    type: anthropic\n    auth_value: \"${C_KEY}\"\n"
            "    weight: 5\n"
        )
    );
    EXPECT_FALSE(add_provider(edit, "alpha", {})) << "the name is taken";
}

TEST(YamlEdit, RemovesAProviderWithItsCommentsAndNobodyElses) {
    YamlEdit edit = edit_of(kYaml);
    Result<std::vector<std::string>> words = remove_provider(edit, "alpha", false);
    ASSERT_FALSE(words);
    EXPECT_NE(words.error().text().find("'*opus*'"), std::string::npos) << words.error().text();
    EXPECT_NE(words.error().text().find("--with-routes"), std::string::npos);
    words = remove_provider(edit, "alpha", true);
    ASSERT_TRUE(words);
    EXPECT_EQ(words->size(), 1U);
    EXPECT_FALSE(edit.rewritten());
    std::string yaml = finished(edit);
    std::size_t from = kYaml.find("  # first of all");
    std::string expected = kYaml.substr(0, from) + kYaml.substr(kYaml.find("  # the reserve"));
    EXPECT_EQ(
        yaml,
        replaced(
            expected, "    - {provider: alpha, model: passthrough, priority: 1}   # first\n", ""
        )
    );
}

TEST(YamlEdit, RemovesRoutesThatHadNoOtherProvider) {
    YamlEdit edit = edit_of(kYaml);
    Result<std::vector<std::string>> words = remove_provider(edit, "beta", true);
    ASSERT_TRUE(words);
    ASSERT_EQ(words->size(), 2U);
    EXPECT_NE((*words)[1].find("removed"), std::string::npos);
    EXPECT_FALSE(edit.rewritten());
    std::string yaml = finished(edit);
    EXPECT_EQ(yaml.find("beta"), std::string::npos) << yaml;
    EXPECT_EQ(yaml.find("the rest"), std::string::npos) << yaml;
    EXPECT_NE(yaml.find("# weight: 3"), std::string::npos) << yaml;
    Result<std::vector<std::string>> last = remove_provider(edit, "alpha", true);
    ASSERT_FALSE(last);
    EXPECT_NE(last.error().text().find("only provider"), std::string::npos);
}

TEST(YamlEdit, ChangesTargetsInFlowAndInBlockStyle) {
    YamlEdit edit = edit_of(kYaml);
    ASSERT_TRUE(set_target(edit, {"*opus*", "alpha", "small", 5, false}));
    ASSERT_TRUE(set_target(edit, {"*opus*", "beta", {}, 9, {}}));
    EXPECT_FALSE(edit.rewritten());
    std::string expected = replaced(
        kYaml,
        "{provider: alpha, model: passthrough, priority: 1}   # first",
        "{provider: alpha, model: small, priority: 5, enabled: false}   # first"
    );
    EXPECT_EQ(finished(edit), replaced(expected, "      priority: 2\n", "      priority: 9\n"));
}

TEST(YamlEdit, AddsTargetsAndRoutes) {
    YamlEdit edit = edit_of(kYaml);
    ASSERT_TRUE(set_target(edit, {"*", "alpha", {}, 2, {}}));
    ASSERT_TRUE(set_target(edit, {"claude-*", "beta", "big", 1, {}}));
    EXPECT_FALSE(edit.rewritten());
    std::string expected = replaced(
        kYaml,
        "    - {provider: beta, model: passthrough, priority: 1}\n",
        "    - {provider: beta, model: passthrough, priority: 1}\n"
        "    - {provider: alpha, model: passthrough, priority: 2}\n"
        "  \"claude-*\":\n    - {provider: beta, model: big, priority: 1}\n"
    );
    EXPECT_EQ(finished(edit), expected);
    EXPECT_FALSE(set_target(edit, {"new", "beta", {}, {}, {}})) << "a new target needs a priority";
    Result<void> unknown = set_target(edit, {"new", "betta", {}, 1, {}});
    ASSERT_FALSE(unknown);
    EXPECT_TRUE(is_unknown_name(unknown.error()));
    EXPECT_NE(unknown.error().text().find("did you mean 'beta'?"), std::string::npos);
}

TEST(YamlEdit, RemovesTargetsAndRoutes) {
    YamlEdit edit = edit_of(kYaml);
    ASSERT_TRUE(remove_target(edit, "*opus*", "beta"));
    ASSERT_TRUE(remove_target(edit, "*", ""));
    EXPECT_FALSE(edit.rewritten());
    std::string expected =
        replaced(kYaml, "    - provider: beta\n      model: big\n      priority: 2\n", "");
    EXPECT_EQ(
        finished(edit),
        replaced(
            expected,
            "  \"*\":   # the rest\n    - {provider: beta, model: passthrough, priority: 1}\n",
            ""
        )
    );
    Result<void> last = remove_target(edit, "*opus*", "alpha");
    ASSERT_FALSE(last) << "an empty route serves nobody";
    EXPECT_FALSE(remove_target(edit, "none", ""));
    EXPECT_FALSE(remove_target(edit, "*opus*", "gamma"));
}

// Where the text cannot be changed safely, it is written anew and says the same.
TEST(YamlEdit, WritesAnewWhatItDoesNotUnderstand) {
    const std::string cases[] = {
        "providers: [{name: alpha, type: anthropic}, {name: beta, type: openai}]\n",
        "x-b: &b {name: alpha, type: anthropic}\nproviders:\n  - *b\n  - {name: beta, type: "
        "openai}\n",
        "providers:\n  - name: alpha\n    type: |\n      anthropic\n  - {name: beta, type: "
        "openai}\n",
        "providers:\n  - name: alpha\n    type:\n  - {name: beta, type: openai}\n",
        "providers:\n  - name: alpha\n    type: two\n     lines\n  - {name: beta, type: openai}\n",
    };
    for (const std::string& yaml : cases) {
        SCOPED_TRACE(yaml);
        YamlEdit edit = edit_of(yaml);
        ASSERT_TRUE(update_provider(edit, "alpha", {{"type", text_scalar("new: #1")}}));
        ASSERT_TRUE(add_provider(edit, "gamma", {{"type", text_scalar("true")}}));
        Result<YamlTree> tree = parse_yaml_tree(finished(edit));
        ASSERT_TRUE(tree);
        ASSERT_EQ(tree->find("providers")->items.size(), 3U);
        EXPECT_EQ(tree->find("providers")->items[0].find("type")->text, "new: #1");
        EXPECT_EQ(tree->find("providers")->items[1].find("type")->text, "openai");
        EXPECT_TRUE(tree->find("providers")->items[2].find("type")->quoted);
    }
}

TEST(YamlEdit, WhatIsMergedFromElsewhereIsLeftToTheFile) {
    YamlEdit edit = edit_of("<<: {providers: [{name: a}], model_routes: {x: [{provider: a}]}}\n");
    EXPECT_FALSE(add_provider(edit, "b", {}));
    EXPECT_FALSE(update_provider(edit, "a", {}));
    EXPECT_FALSE(remove_provider(edit, "a", true));
    EXPECT_FALSE(set_target(edit, {"x", "a", {}, 1, {}}));
    EXPECT_FALSE(remove_target(edit, "x", ""));
}

// A merge brings a route, a provider's name and keys, a target's provider.
const std::string kMerged = R"(x-shared: &shared
  name: b
  proxy: http://127.0.0.1:3128
x-routes: &routes
  "*opus*":
    - {provider: a, model: big, priority: 1}
x-target: &target {provider: a, model: small}
providers:
  - {name: a, type: anthropic, base_url: "https://a.example", auth_type: api_key, auth_value: k}
  - <<: [{weight: 2}, *shared]
    type: anthropic
    base_url: https://b.example
    auth_type: api_key
    auth_value: k
model_routes:
  <<: *routes
  "*":
    - <<: *target
      priority: 1
)";

TEST(YamlEdit, RefusesToHideOrToRemoveWhatAMergeBrings) {
    YamlEdit edit = edit_of(kMerged);
    auto refused = [](const auto& result) {
        return !result && result.error().text().find("comes from a merge") != std::string::npos;
    };
    EXPECT_TRUE(refused(set_target(edit, {"*opus*", "b", {}, 2, {}})));
    EXPECT_TRUE(refused(remove_target(edit, "*opus*", "")));
    EXPECT_TRUE(refused(remove_target(edit, "*opus*", "a")));
    EXPECT_TRUE(refused(update_provider(edit, "b", {{"type", text_scalar("x")}, {"proxy", std::nullopt}})));
    EXPECT_TRUE(refused(update_provider(edit, "b", {{"weight", std::nullopt}})));
    EXPECT_EQ(finished(edit), kMerged) << "refused as a whole";

    // What is set in the map itself wins, and what a merge says is read.
    EXPECT_TRUE(update_provider(edit, "b", {{"weight", plain_scalar("3")}, {"timeouts", std::nullopt}}));
    EXPECT_TRUE(set_target(edit, {"*", "a", {}, 5, {}}));
    EXPECT_TRUE(set_target(edit, {"new", "b", {}, 1, {}}));
    Result<YamlTree> tree = parse_yaml_tree(finished(edit));
    ASSERT_TRUE(tree);
    EXPECT_EQ(tree->find("providers")->items[1].find("weight")->text, "3");
    ASSERT_EQ(tree->find("model_routes")->find("*")->items.size(), 1U);
    EXPECT_EQ(tree->find("model_routes")->find("*")->items[0].find("priority")->text, "5");
    EXPECT_TRUE(tree->find("model_routes")->find("new"));
}

TEST(YamlEdit, AChangeOfAnAliasChangesNothingElse) {
    YamlEdit edit = edit_of(
        "x-t: &t {type: anthropic}\nproviders:\n  - {name: a, timeouts: *t}\n  - {name: b, "
        "timeouts: *t}\n"
    );
    edit.set_key({"providers", std::size_t{0}, "timeouts"}, "type", text_scalar("x"));
    EXPECT_TRUE(edit.rewritten());
    Result<YamlTree> tree = parse_yaml_tree(finished(edit));
    ASSERT_TRUE(tree);
    EXPECT_EQ(tree->find("providers")->items[0].find("timeouts")->find("type")->text, "x");
    EXPECT_EQ(tree->find("providers")->items[1].find("timeouts")->find("type")->text, "anthropic");
}

TEST(YamlEdit, TheExampleIsEditedWithoutLosingAComment) {
    Result<std::string> example = read_file(BALANCER_EXAMPLE_CONFIG);
    ASSERT_TRUE(example);
    YamlEdit edit = edit_of(*example);
    ASSERT_TRUE(add_provider(
        edit,
        "new one",
        {{"type", text_scalar("anthropic")},
         {"base_url", text_scalar("https://new.example")},
         {"auth_type", text_scalar("api_key")},
         {"auth_value", text_scalar("passthrough")}}
    ));
    ASSERT_TRUE(set_target(edit, {"*haiku*", "new one", {}, 3, {}}));
    ASSERT_TRUE(set_target(edit, {"solo", "new one", {}, 1, {}}));
    ASSERT_TRUE(update_provider(edit, "reseller", {{"weight", plain_scalar("3")}}));
    ASSERT_TRUE(remove_provider(edit, "openai-compatible", true));
    EXPECT_FALSE(edit.rewritten());
    std::string yaml = finished(edit);
    EXPECT_EQ(yaml.find("openai-compatible"), std::string::npos);
    EXPECT_NE(yaml.find("# What follows is optional"), std::string::npos);
    EXPECT_NE(yaml.find("# Whatever else a client asks for."), std::string::npos);
    LoadResult loaded = parse_config(yaml, "config.yaml", [](const std::string&) {
        return std::optional<std::string>();
    });
    ASSERT_TRUE(std::holds_alternative<LoadedConfig>(loaded)) << yaml;
    EXPECT_EQ(std::get<LoadedConfig>(loaded).config.providers_size(), 3);
}

TEST(YamlTree, EmitsWhatItParses) {
    const std::string yaml =
        "a: 1\nb: '1'\nc: ''\nd: ~\ne: [x, {f: -g}, [], {}]\nh: {i: [[j]]}\n\"*k\": "
        "\"l\\n\\\"m\\\\\"\n"
        "n: 64MiB\no: \"-\"\np: \"true\"\nq: yes\nr: 'a: b #c'\ns: \"\\x01é\"\n";
    Result<YamlTree> tree = parse_yaml_tree(yaml);
    ASSERT_TRUE(tree);
    Result<YamlTree> again = parse_yaml_tree(to_yaml(*tree));
    ASSERT_TRUE(again) << to_yaml(*tree);
    EXPECT_TRUE(*again == *tree) << to_yaml(*tree);
    EXPECT_FALSE(*tree->find("a") == *tree->find("b")) << "quotes make text of a number";
}

TEST(YamlTree, AliasesThatGrowWithoutEndAreRefused) {
    std::string yaml = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
    for (int i = 1; i < 8; ++i) {
        yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 10; ++j) yaml += (j > 0 ? ",*a" : "*a") + std::to_string(i - 1);
        yaml += "]\n";
    }
    EXPECT_FALSE(parse_yaml_tree(yaml));
    EXPECT_FALSE(parse_yaml_tree("a: [sk-secret"));
}

}  // namespace
}  // namespace balancer::controlplane
