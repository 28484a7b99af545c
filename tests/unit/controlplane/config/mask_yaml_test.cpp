#include "controlplane/config/mask_yaml.hpp"

#include <gtest/gtest.h>

#include "controlplane/config/yaml_tree.hpp"

namespace balancer::controlplane {
namespace {

std::string masked(const YamlMask& mask, const std::string& yaml) {
    Result<std::string> text = mask.mask(yaml);
    EXPECT_TRUE(text.has_value());
    return text ? *text : std::string();
}

TEST(MaskYaml, TakesLiteralSecretsOutAndLeavesTheRest) {
    const std::string yaml = R"(providers:
  - name: alpha
    auth_value: canary-1   # not this: sk-canary-old-0123456789
    proxy: http://joe:canary-2@127.0.0.1:3128
    headers: {x-extra: canary-3, x-more: "canary \"4"}
  - name: beta
    auth_value: "${BETA_KEY}"
    proxy: http://127.0.0.1:3128
  - {name: gamma, auth_value: 'canary''5', weight: 3}
  - {name: delta, auth_value: file:/run/delta}
  - {name: epsilon, auth_value: passthrough}
settings:
  auth:
    api_key: canary-6
    api_keys:
      - {name: joe, key: canary-7}
# auth_value: canary-8
)";
    std::string text = masked(YamlMask(), yaml);
    EXPECT_EQ(text.find("canary"), std::string::npos) << text;
    for (const char* kept : {
             "    auth_value: \"[redacted ",
             "   # not this: [redacted]\n",
             "auth_value: \"${BETA_KEY}\"\n",
             "proxy: http://127.0.0.1:3128\n",
             "auth_value: file:/run/delta}",
             "auth_value: passthrough}",
             ", weight: 3}\n",
             "- {name: joe, key: \"[redacted ",
         }) {
        EXPECT_NE(text.find(kept), std::string::npos) << kept << " is missing from\n" << text;
    }
}

TEST(MaskYaml, TheSameSecretHasTheSameMarkAndAnotherOneAnother) {
    YamlMask mask;
    EXPECT_EQ(masked(mask, "auth_value: canary-1\n"), masked(mask, "auth_value: canary-1\n"));
    EXPECT_NE(masked(mask, "auth_value: canary-1\n"), masked(mask, "auth_value: canary-2\n"));
    EXPECT_NE(masked(mask, "auth_value: canary-1\n"), masked(YamlMask(), "auth_value: canary-1\n"))
        << "a mark that is the same everywhere lets one try words";
}

// Each is a way to write a secret that is easily overlooked.
TEST(MaskYaml, NoWayOfWritingLetsASecretThrough) {
    const std::string cases[] = {
        "x-k: &k canary-1\nproviders:\n  - auth_value: *k\n",
        "x-p: &p {auth_value: canary-1}\nproviders:\n  - {<<: *p, name: a}\n",
        "providers:\n  - auth_value: |\n      canary-1\n",
        "providers:\n  - auth_value: >-\n      canary-1\n",
        "providers:\n  - auth_value: &k canary-1\n    proxy: *k\n",
        "providers:\n  - auth_value: \"can\\u0061ry-1\"\n",
        "providers:\n  - auth_value: two words\n      canary-1\n",
        "providers:\n  - auth_value: \"two words\n      canary-1\"\n",
        "providers:\n  - auth_value: !!str canary-1\n",
        "providers:\n  - auth_value: canary-1,]}x\n",
        "providers: [{auth_value: canary-1}, {proxy: \"http://a:canary-1@h:1\"}]\n",
        "providers:\n  - headers:\n      x: pre-${A}-canary-1\n",
        "{providers: [{'auth_value': \"canary-1\"}]}\n",
    };
    for (const std::string& yaml : cases) {
        std::string text = masked(YamlMask(), yaml);
        EXPECT_EQ(text.find("canary-1"), std::string::npos) << yaml << "\nbecame\n" << text;
        EXPECT_EQ(text.find("can\\u0061ry"), std::string::npos) << text;
        EXPECT_NE(text.find("[redacted "), std::string::npos) << text;
        EXPECT_TRUE(parse_yaml_tree(text)) << text;
    }
}

TEST(MaskYaml, WhatIsNotYamlIsNotShown) {
    Result<std::string> text = YamlMask().mask("auth_value: [canary-1\n");
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().text().find("canary"), std::string::npos);
}

}  // namespace
}  // namespace balancer::controlplane
