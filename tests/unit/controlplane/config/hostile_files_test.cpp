// Files that are broken, deep, huge or self-referring end in problems, not in crashes.
#include <gmock/gmock.h>

#include "config_fixture.hpp"

namespace balancer::controlplane {
namespace {

using ::testing::HasSubstr;

TEST(HostileFiles, GetThePlaceOfASyntaxError) {
    std::vector<ConfigProblem> problems = bad(parse("providers:\n  - name: a\n   type: b\n"));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].line, 3U);
    EXPECT_THAT(problems[0].message, HasSubstr("not valid YAML"));
}

TEST(HostileFiles, AreRefusedWhenEmpty) {
    for (const char* yaml : {"", "\n\n", "# nothing\n", "---\n", "~"}) {
        std::vector<ConfigProblem> problems = bad(parse(yaml));
        ASSERT_EQ(problems.size(), 1U) << yaml;
        EXPECT_EQ(problems[0].message, "the file is empty");
    }
}

TEST(HostileFiles, AreRefusedWhenTheyAreNoMap) {
    for (const char* yaml : {"just text", "[1, 2]", "42"}) {
        std::vector<ConfigProblem> problems = bad(parse(yaml));
        ASSERT_EQ(problems.size(), 1U) << yaml;
        EXPECT_THAT(problems[0].message, HasSubstr("expected a map"));
    }
}

TEST(HostileFiles, AreRefusedWhenNotUtf8) {
    std::vector<ConfigProblem> problems = bad(parse(minimal() + "# fine\n# caf\xE9\n"));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(to_string(problems[0]), "config.yaml:11:1: this line is not UTF-8");
    problems = bad(parse(minimal("    proxy: '${P}'\n"), {{"P", "http://\xE9:1"}}));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].message, "holds bytes that are not UTF-8");
}

TEST(HostileFiles, AreRefusedWithTwoDocuments) {
    std::vector<ConfigProblem> problems = bad(parse(minimal() + "---\n" + minimal()));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_THAT(problems[0].message, HasSubstr("second YAML document"));
    EXPECT_EQ(problems[0].line, 11U);
}

TEST(HostileFiles, AreRefusedWhenTooLarge) {
    std::string yaml = minimal() + "#" + std::string(4 << 20, 'x') + "\n";
    std::vector<ConfigProblem> problems = bad(parse(yaml));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_THAT(problems[0].message, HasSubstr("larger than 4194304 bytes"));

    TemporaryFolder folder;
    write(folder / "config.yaml", yaml);
    problems = bad(load_config(folder / "config.yaml", environment_of({})));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_THAT(problems[0].message, HasSubstr("larger than 4194304 bytes"));
}

TEST(HostileFiles, MayNestDeeply) {
    for (const char* open : {"[", "{a: ", "- ", "? "}) {
        std::string yaml = "providers: \n  ";
        for (int i = 0; i < 100'000; ++i) yaml += open;
        EXPECT_FALSE(bad(parse(yaml)).empty()) << open;
    }
}

TEST(HostileFiles, MayReferToThemselves) {
    EXPECT_FALSE(bad(parse("&a [*a, *a]\n")).empty());
    EXPECT_FALSE(bad(parse("providers: &a [*a]\nmodel_routes: &b {m: *b}\n")).empty());
    std::vector<ConfigProblem> problems =
        bad(parse("providers: [&a {name: x, <<: *a}]\nmodel_routes: {m: []}\n"));
    EXPECT_THAT(all_of(problems), HasSubstr("merges itself"));
    EXPECT_FALSE(bad(parse("&a {? *a : 1}\n")).empty());
}

TEST(HostileFiles, MayMultiplyByAliases) {
    std::string yaml = "x-a: &a {provider: a, model: m, priority: 1}\nx-b: &b [";
    for (int i = 0; i < 5'000; ++i) yaml += i == 0 ? "*a" : ", *a";
    yaml += "]\n" + minimal();
    for (int i = 0; i < 1'000; ++i) yaml += fmt::format("  m{}: *b\n", i);
    EXPECT_THAT(all_of(bad(parse(yaml))), HasSubstr("more than 10000 targets together"));
}

TEST(HostileFiles, MayHoldAThousandMistakes) {
    std::string yaml = minimal("", "settings:\n");
    for (int i = 0; i < 1'000; ++i) yaml += fmt::format("  nonsense-{}: 1\n", i);
    std::vector<ConfigProblem> problems = bad(parse(yaml));
    EXPECT_EQ(problems.size(), 101U);
    EXPECT_EQ(problems[0].message, "more problems were left out");
}

TEST(HostileFiles, MayHoldAnyBytes) {
    std::string yaml = minimal();
    for (std::size_t i = 0; i < yaml.size(); ++i) {
        for (char c : {'\0', '\xFF', '\t', '*', '{', '"', '\n'}) {
            std::string broken = yaml;
            broken[i] = c;
            parse(broken);  // either way, but without a crash
        }
    }
}

}  // namespace
}  // namespace balancer::controlplane
