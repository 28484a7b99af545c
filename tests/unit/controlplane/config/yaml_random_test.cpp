// Edits and the mask on documents that somebody has scribbled in: whatever comes out says what was
// meant, and no secret comes out. Seeded: the same documents in every run.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "controlplane/config/edits.hpp"
#include "controlplane/config/mask_yaml.hpp"

namespace balancer::controlplane {
namespace {

const char* const kSeeds[] = {
    R"(# all of it
x-anchor: &both {connect: 1, idle: 2}
providers:
  - name: alpha   # one
    auth_value: canary-secret-1
    timeouts: *both
  # two
  - {name: beta, auth_value: 'canary-secret-2', weight: 3}
  - name: gamma
    auth_value: >-
      canary-secret-3
    headers:
      x-a: "canary-secret-4"
model_routes:
  "*opus*":
    - {provider: alpha, model: passthrough, priority: 1}   # first
    - provider: beta
      model: big
      priority: 2
  '*': [{provider: gamma, model: m, priority: 1}]
settings:
  auth: {api_keys: [{name: joe, key: canary-secret-5}]}
)",
    R"(providers: [{name: alpha, auth_value: "canary-secret-1"}, {name: beta, auth_value: x}]
model_routes: {"*opus*": [{provider: alpha, model: m, priority: 1}, {provider: beta, model: m, priority: 1}]}
)",
};

class Scribbler {
  public:
    explicit Scribbler(unsigned seed) : random_(seed) {}

    std::string scribble(std::string text) {
        static const std::string kPieces[] = {
            "\n",     " ",  "  ",   "- ", ": ",    "#",   " # ",  "'",    "\"",
            "{",      "}",  "[",    "]",  ",",     "&a ", "*a",   "|\n",  ">-\n",
            "!!str ", "\t", "\r\n", "é",  "---\n", "? ",  "<<: ", "\n\n", "~",
        };
        for (unsigned n = 1 + below(3); n > 0; --n) {
            std::size_t at = below(static_cast<unsigned>(text.size()));
            if (below(3) == 0) {
                text.erase(at, 1 + below(4));
            } else {
                text.insert(at, kPieces[below(std::size(kPieces))]);
            }
        }
        return text;
    }

    unsigned below(std::size_t bound) {
        return std::uniform_int_distribution<unsigned>(0, static_cast<unsigned>(bound) - 1)(random_
        );
    }

  private:
    std::mt19937 random_;
};

// The scalars under the keys that hold secrets here, as they are written out.
void collect_secrets(const YamlTree& tree, bool secret, std::vector<std::string>& out) {
    if (tree.kind == YamlTree::Kind::kScalar && secret) out.push_back(tree.text);
    for (const auto& [key, value] : tree.entries) {
        collect_secrets(
            value, secret || key == "auth_value" || key == "headers" || key == "key", out
        );
    }
    for (const YamlTree& item : tree.items) collect_secrets(item, secret, out);
}

TEST(YamlRandom, TheMaskLetsNoSecretThrough) {
    Scribbler scribbler(1);
    int masked = 0;
    for (int round = 0; round < 1500; ++round) {
        std::string yaml = scribbler.scribble(kSeeds[round % std::size(kSeeds)]);
        Result<YamlTree> tree = parse_yaml_tree(yaml);
        Result<std::string> text = YamlMask().mask(yaml);
        ASSERT_EQ(tree.has_value(), text.has_value()) << yaml;
        if (!text) continue;
        std::vector<std::string> secrets;
        collect_secrets(*tree, false, secrets);
        for (const std::string& secret : secrets) {
            if (secret.find("canary-secret") == std::string::npos) continue;
            ++masked;
            ASSERT_EQ(text->find(secret), std::string::npos) << yaml << "\nbecame\n" << *text;
        }
        ASSERT_TRUE(parse_yaml_tree(*text)) << *text;
    }
    EXPECT_GT(masked, 1000) << "the documents were hardly ever YAML";
}

TEST(YamlRandom, AnEditSaysWhatIsMeantOrNothing) {
    Scribbler scribbler(2);
    const std::function<void(YamlEdit&)> edits[] = {
        [](YamlEdit& e) {
            (void)update_provider(e, "alpha", {{"weight", plain_scalar("7")}});
        },
        [](YamlEdit& e) {
            (void)update_provider(e, "beta", {{"auth_value", text_scalar("${B}")}});
        },
        [](YamlEdit& e) {
            (void)update_provider(e, "beta", {{"weight", std::nullopt}});
        },
        [](YamlEdit& e) {
            (void)add_provider(e, "delta", {{"type", text_scalar("anthropic")}});
        },
        [](YamlEdit& e) { (void)remove_provider(e, "alpha", true); },
        [](YamlEdit& e) {
            (void)set_target(e, {"*opus*", "beta", "m", 3, true});
        },
        [](YamlEdit& e) {
            (void)set_target(e, {"new", "beta", "m", 3, {}});
        },
        [](YamlEdit& e) { (void)remove_target(e, "*opus*", "alpha"); },
    };
    int in_place = 0;
    int anew = 0;
    for (int round = 0; round < 1500; ++round) {
        std::string yaml = scribbler.scribble(kSeeds[round % std::size(kSeeds)]);
        Result<YamlEdit> edit = YamlEdit::begin(yaml);
        if (!edit) continue;
        for (unsigned n = 1 + scribbler.below(3); n > 0; --n) {
            edits[scribbler.below(std::size(edits))](*edit);
        }
        Result<std::string> text = edit->finish();
        if (!text) continue;
        (edit->rewritten() ? anew : in_place) += 1;
        Result<YamlTree> said = parse_yaml_tree(*text);
        ASSERT_TRUE(said) << yaml << "\nbecame\n" << *text;
        ASSERT_TRUE(*said == edit->tree()) << yaml << "\nbecame\n" << *text;
    }
    EXPECT_GT(in_place, 200);
    EXPECT_GT(anew, 200);
}

}  // namespace
}  // namespace balancer::controlplane
