// balancerctl complete: what may stand next.
#include <gmock/gmock.h>

#include "tests/unit/cli/balancerctl_fixture.hpp"

namespace balancer::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using Words = std::vector<std::string>;

class CompletionTest : public BalancerctlTest {
  protected:
    // The candidates for `words`, without what is said about them.
    Words candidates(Words words) {
        words.insert(words.begin(), {"balancerctl", "complete"});
        EXPECT_EQ(raw(words), 0) << err_;
        EXPECT_EQ(err_, "");
        Words found;
        std::istringstream lines(out_);
        for (std::string line; std::getline(lines, line);) found.push_back(line.substr(0, line.find('\t')));
        return found;
    }

    // With a control plane to ask.
    Words asked(Words words) {
        words.insert(words.begin(), {"--server", addresses_.grpc, "--token-file=" + token_file_});
        return candidates(words);
    }
};

TEST_F(CompletionTest, CommandsOfEachLevel) {
    EXPECT_THAT(candidates({""}), Contains("providers"));
    EXPECT_THAT(candidates({"pro"}), ElementsAre("providers"));
    EXPECT_THAT(candidates({"config", "r"}), ElementsAre("reload", "rollback"));
    EXPECT_THAT(candidates({"-o", "json", "--timeout=3", "config", "rel"}), ElementsAre("reload"));
    EXPECT_THAT(candidates({"nonsense", "x"}), IsEmpty());
}

TEST_F(CompletionTest, TheFirstWordMayBeMissing) {
    EXPECT_THAT(candidates({}), Contains("status"));
}

TEST_F(CompletionTest, SaysWhatEachIs) {
    candidates({"stat"});
    EXPECT_EQ(out_, "status\tIs all well?\n");
}

TEST_F(CompletionTest, OptionsOfTheCommandAndGlobalOnes) {
    const Words found = candidates({"providers", "add", "x", "--"});
    for (const char* option : {"--base-url", "--key-stdin", "--dry-run", "--output", "--help"}) {
        EXPECT_THAT(found, Contains(option));
    }
    EXPECT_THAT(candidates({"status", "--"}), Not(Contains("--base-url")));
    EXPECT_EQ(std::ranges::count(found, "--help"), 1);
}

TEST_F(CompletionTest, AnOptionThatIsThereOnlyAgainWhenItMayRepeat) {
    EXPECT_THAT(candidates({"providers", "add", "--weight", "3", "--w"}), Not(Contains("--weight")));
    EXPECT_THAT(candidates({"providers", "add", "--route", "a", "--ro"}), ElementsAre("--route"));
    EXPECT_THAT(candidates({"events", "--type=a", "--ty"}), ElementsAre("--type"));
}

TEST_F(CompletionTest, ValuesThatAreFewAreTold) {
    EXPECT_THAT(candidates({"-o", ""}), ElementsAre("table", "json", "yaml"));
    EXPECT_THAT(candidates({"--output=y"}), ElementsAre("--output=yaml"));
    EXPECT_THAT(candidates({"providers", "add", "x", "--streaming-mode", "b"}), ElementsAre("background"));
    EXPECT_THAT(candidates({"completion", "f"}), ElementsAre("fish"));
    EXPECT_THAT(candidates({"providers", "add", "x", "--weight", ""}), IsEmpty()) << "any number";
}

TEST_F(CompletionTest, FilesAreTheShellsMatter) {
    candidates({"--token-file", "sta"});
    EXPECT_EQ(out_, ":files\n");
    candidates({"config", "validate", ""});
    EXPECT_EQ(out_, ":files\n");
}

TEST_F(CompletionTest, NamesComeFromTheControlPlane) {
    start();
    EXPECT_THAT(asked({"providers", "get", ""}), ElementsAre("alpha", "beta", "gamma"));
    EXPECT_THAT(asked({"providers", "disable", "--reason", "alpha", "b"}), ElementsAre("beta"));
    EXPECT_THAT(asked({"routes", "set", "*son"}), ElementsAre("*sonnet*"));
    EXPECT_THAT(asked({"routes", "set", "*sonnet*", "al"}), ElementsAre("alpha"));
    EXPECT_THAT(asked({"dataplanes", "get", ""}), IsEmpty());
    EXPECT_EQ(asked({"keys", "retire", ""}).size(), 1U);
}

TEST_F(CompletionTest, NobodyToAskIsNoError) {
    EXPECT_THAT(
        candidates({"--server", "127.0.0.1:1", "--token-file", "/nowhere", "providers", "get", ""}), IsEmpty()
    );
}

}  // namespace
}  // namespace balancer::cli
