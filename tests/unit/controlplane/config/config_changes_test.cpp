#include "controlplane/config/config_changes.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>

#include "controlplane/config/line_diff.hpp"

namespace balancer::controlplane {
namespace {

YamlTree tree(const std::string& yaml) {
    Result<YamlTree> parsed = parse_yaml_tree(yaml);
    EXPECT_TRUE(parsed.has_value());
    return *std::move(parsed);
}

const char* const kBase = R"(providers:
  - {name: alpha, weight: 1}
  - {name: beta, weight: 1}
model_routes:
  "*": [{provider: alpha}]
settings: {log_level: INFO}
)";

const char* const kEdited = R"(providers:
  - {name: alpha, weight: 2, proxy: x}
  - {name: gamma}
model_routes:
  "*": [{provider: alpha}, {provider: gamma}]
  solo: [{provider: gamma}]
settings: {log_level: INFO, port: 1}
)";

TEST(ConfigChanges, NameWhatIsDifferent) {
    EXPECT_EQ(
        to_summary(changes_between(tree(kBase), tree(kEdited)), 10),
        "provider 'alpha' changed (weight, proxy); provider 'gamma' added; route '*' changed; "
        "route 'solo' added; settings.port added; provider 'beta' removed"
    );
    EXPECT_EQ(
        to_summary(changes_between(tree(kBase), tree(kEdited)), 1),
        "provider 'alpha' changed (weight, proxy); and 5 more"
    );
    EXPECT_EQ(to_summary(changes_between(tree(kBase), tree(kBase))), "");
    EXPECT_EQ(
        to_summary(changes_between(
            tree("providers: [{name: a, b: 1}, {name: c}]\n"),
            tree("providers: [{name: c}, {b: 1, name: a}]\n")
        )),
        "the order of the providers changed"
    );
}

TEST(ConfigChanges, AFileThatBringsAnEditAlongDoesNotLoseIt) {
    std::string now = R"(providers:
  - {name: alpha, weight: 2, proxy: x}
  - {name: beta, weight: 1}
  - {name: delta}
model_routes:
  "*": [{provider: alpha}, {provider: gamma}]
settings: {log_level: DEBUG}
)";
    EXPECT_EQ(
        to_summary(lost_changes(tree(kBase), tree(kEdited), tree(now)), 10),
        "provider 'gamma' added; route 'solo' added; settings.port added; provider 'beta' removed"
    );
    EXPECT_TRUE(lost_changes(tree(kBase), tree(kEdited), tree(kEdited)).empty());
}

TEST(UnifiedDiff, ShowsContextAndHunks) {
    std::string from;
    for (char c = 'a'; c <= 'z'; ++c) from += std::string(1, c) + "\n";
    std::string to = from;
    to.replace(to.find("d\n"), 2, "D\n");
    to.erase(to.find("x\n"), 2);
    EXPECT_EQ(
        unified_diff(from, to, "A", "B"),
        "--- A\n+++ B\n@@ -1,7 +1,7 @@\n a\n b\n c\n-d\n+D\n e\n f\n g\n"
        "@@ -21,6 +21,5 @@\n u\n v\n w\n-x\n y\n z\n"
    );
    EXPECT_EQ(unified_diff(from, from, "A", "B"), "");
    EXPECT_EQ(unified_diff("", "a\n", "A", "B"), "--- A\n+++ B\n@@ -0,0 +1,1 @@\n+a\n");
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

// As patch(1) does, minding the numbers and the context.
std::string patched(const std::string& from, const std::string& diff) {
    std::vector<std::string> source = lines_of(from);
    std::vector<std::string> steps = lines_of(diff);
    std::string out;
    std::size_t done = 0;
    for (std::size_t i = 2; i < steps.size(); ++i) {
        if (steps[i].starts_with("@@")) {
            std::size_t line = 0;
            std::size_t count = 0;
            EXPECT_EQ(std::sscanf(steps[i].c_str(), "@@ -%zu,%zu", &line, &count), 2);
            std::size_t begin = count > 0 ? line - 1 : line;
            while (done < begin) out += source.at(done++) + "\n";
            continue;
        }
        if (steps[i][0] != '+') {
            EXPECT_EQ(source.at(done), steps[i].substr(1));
            ++done;
        }
        if (steps[i][0] != '-') out += steps[i].substr(1) + "\n";
    }
    while (done < source.size()) out += source[done++] + "\n";
    return out;
}

TEST(UnifiedDiff, APatchTakesOneTextIntoTheOther) {
    unsigned seed = 1;
    auto next = [&] { return seed = seed * 1664525u + 1013904223u, seed >> 16; };
    auto text = [&] {
        std::string out;
        for (unsigned i = 0, n = next() % 40; i < n; ++i) {
            out += std::string(1, "abcdefg"[next() % 7]) + "\n";
        }
        return out;
    };
    for (int round = 0; round < 300; ++round) {
        std::string from = text();
        std::string to = next() % 2 == 0 ? text() : from + text();
        std::string diff = unified_diff(from, to, "A", "B");
        EXPECT_EQ(diff.empty(), from == to);
        if (!diff.empty()) EXPECT_EQ(patched(from, diff), to) << diff;
    }
    // Beyond the bound of the algorithm.
    std::string many;
    std::string others;
    for (int i = 0; i < 3000; ++i) {
        many += "a" + std::to_string(i) + "\n";
        others += "b" + std::to_string(i) + "\n";
    }
    EXPECT_EQ(patched(many, unified_diff(many, others, "A", "B")), others);
}

}  // namespace
}  // namespace balancer::controlplane
