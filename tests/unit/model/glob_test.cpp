#include "model/glob.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace balancer {
namespace {

TEST(Glob, IsAnchoredIgnoresCaseAndTakesEverythingElseLiterally) {
    struct Case {
        const char* pattern;
        const char* name;
        bool matches;
    };
    for (const Case& one : {
             Case{"claude-3.5*", "claude-3.5-sonnet", true},
             Case{"claude-3.5*", "claude-3x5-sonnet", false},
             Case{"claude-3.5*", "zz-claude-3.5", false},
             Case{"*sonnet*", "Claude-SONNET-4", true},
             Case{"*sonnet", "sonnet-4", false},
             Case{"*", "", true},
             Case{"", "", true},
             Case{"", "a", false},
             Case{"a*b*c", "a-b-b-c", true},
             Case{"a*b*c", "a-c-b", false},
             Case{"foo(*", "foo(bar", true},
             Case{"?", "a", false},
             Case{"[ab]", "a", false},
             Case{"**", "anything", true},
         }) {
        EXPECT_EQ(Glob(one.pattern).matches(one.name), one.matches) << one.pattern << " " << one.name;
    }
}

bool naive(const std::string& p, const std::string& n, std::size_t i = 0, std::size_t k = 0) {
    if (i == p.size()) return k == n.size();
    if (p[i] == '*') return naive(p, n, i + 1, k) || (k < n.size() && naive(p, n, i, k + 1));
    return k < n.size() && p[i] == n[k] && naive(p, n, i + 1, k + 1);
}

TEST(Glob, AgreesWithTheDefinition) {
    std::mt19937 random(3);
    auto text = [&](const char* letters, unsigned kinds, unsigned size_max) {
        std::string out(random() % (size_max + 1), 'x');
        for (char& c : out) c = letters[random() % kinds];
        return out;
    };
    for (int i = 0; i < 20'000; ++i) {
        std::string pattern = text("ab*", 3, 7);
        std::string name = text("ab", 2, 9);
        EXPECT_EQ(Glob(pattern).matches(name), naive(pattern, name)) << pattern << " " << name;
    }
}

TEST(Glob, ManyStarsCostNoMoreThanTheyShould) {
    std::string pattern;
    for (int i = 0; i < 200; ++i) pattern += "a*";
    EXPECT_FALSE(Glob(pattern + "b").matches(std::string(20'000, 'a')));
}

}  // namespace
}  // namespace balancer
