#include "dataplane/control/lkg_folder.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>

#include "tests/unit/controlplane/admin/temp_dir.hpp"
#include "tests/unit/controlplane/sync/samples.hpp"

namespace balancer::dataplane {
namespace {

using samples::config;
using samples::update;
using samples::version;

constexpr FileStep kSteps[] = {
    FileStep::kCreate,
    FileStep::kWrite,
    FileStep::kSync,
    FileStep::kRename,
    FileStep::kSyncFolder,
};

v1::Update state(std::uint64_t seq) {
    return update(version(1, seq), config({"a"}));
}

class LkgFolderTest : public testing::Test {
  protected:
    std::filesystem::path path(const char* name) const { return dir_.path() / name; }

    // As a process that starts would find it: "3 2, 1 refused".
    std::string found(const std::string& dp_id = "dp1") {
        LkgFound found = LkgFolder(dir_.path(), dp_id).find();
        std::string words;
        for (const LkgState& each : found.states) {
            words += std::to_string(each.update.version().seq()) + " ";
        }
        refused_ = found.refused.empty() ? "" : found.refused.front();
        return words + "- " + std::to_string(found.refused.size()) + " refused";
    }

    Result<void> save(std::uint64_t seq, BeforeFileStep before = {}) {
        return LkgFolder(dir_.path(), "dp1", std::move(before)).save(state(seq), 1'000 + seq);
    }

    std::string newest_file() {
        std::string newest;
        std::uint64_t generation = 0;
        LkgKey key(raw_key());
        for (const char* name : LkgFolder::kFiles) {
            Result<LkgFile> file = open_lkg(*read_file(path(name)), "dp1", key);
            if (file && file->header.generation > generation) {
                generation = file->header.generation;
                newest = name;
            }
        }
        return newest;
    }

    std::string raw_key() {
        std::string hex = *read_secret_file(path(LkgFolder::kKeyFile));
        std::string raw;
        for (std::size_t i = 0; i < hex.size(); i += 2) {
            raw.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
        }
        return raw;
    }

    void overwrite(const std::string& name, const std::string& content) {
        std::ofstream(dir_.path() / name, std::ios::binary | std::ios::trunc) << content;
    }

    test::TempDir dir_;
    std::string refused_;
};

TEST_F(LkgFolderTest, KeepsTheTwoNewestOverRestarts) {
    EXPECT_EQ(found(), "- 0 refused");
    for (std::uint64_t seq = 1; seq <= 5; ++seq) ASSERT_TRUE(save(seq)) << seq;
    EXPECT_EQ(found(), "5 4 - 0 refused");
    LkgFound whole = LkgFolder(dir_.path(), "dp1").find();
    EXPECT_EQ(whole.states[0].saved_at, 1'005);
    EXPECT_EQ(whole.states[0].update.SerializeAsString(), state(5).SerializeAsString());
}

TEST_F(LkgFolderTest, OnlyTheOwnerCanReadWhatItKeeps) {
    ASSERT_TRUE(save(1));
    for (const char* name : {LkgFolder::kKeyFile, LkgFolder::kLockFile, LkgFolder::kFiles[0]}) {
        struct stat status {};
        ASSERT_EQ(::stat(path(name).c_str(), &status), 0) << name;
        EXPECT_EQ(status.st_mode & 0777, 0600U) << name;
    }
}

TEST_F(LkgFolderTest, TakesTheOlderWhenTheNewestIsDamagedAndWritesOverTheDamagedOne) {
    ASSERT_TRUE(save(1));
    ASSERT_TRUE(save(2));
    std::string newest = newest_file();
    std::string content = *read_file(dir_.path() / newest);
    overwrite(newest, content.substr(0, content.size() / 2));
    EXPECT_EQ(found(), "1 - 1 refused");
    EXPECT_NE(refused_.find(newest), std::string::npos) << refused_;
    ASSERT_TRUE(save(3));
    EXPECT_EQ(found(), "3 1 - 0 refused");
}

TEST_F(LkgFolderTest, TwoDamagedFilesLeaveNothing) {
    ASSERT_TRUE(save(1));
    ASSERT_TRUE(save(2));
    overwrite(LkgFolder::kFiles[0], "");
    overwrite(LkgFolder::kFiles[1], std::string(5'000, 'z'));
    EXPECT_EQ(found(), "- 2 refused");
}

TEST_F(LkgFolderTest, RefusesTheFilesOfAnotherReplica) {
    ASSERT_TRUE(save(1));
    EXPECT_EQ(found("dp2"), "- 1 refused");
    EXPECT_NE(refused_.find("'dp1'"), std::string::npos) << refused_;
}

TEST_F(LkgFolderTest, WithItsKeyLostItStartsAnew) {
    ASSERT_TRUE(save(1));
    std::filesystem::remove(path(LkgFolder::kKeyFile));
    EXPECT_EQ(found(), "- 1 refused");
    EXPECT_NE(refused_.find("key is gone"), std::string::npos) << refused_;
    ASSERT_TRUE(save(2));
    ASSERT_TRUE(save(3));
    EXPECT_EQ(found(), "3 2 - 0 refused");
}

TEST_F(LkgFolderTest, AKeyOfAnotherFolderOpensNothing) {
    ASSERT_TRUE(save(1));
    overwrite(LkgFolder::kKeyFile, std::string(64, 'a') + "\n");
    EXPECT_EQ(found(), "- 1 refused");
    EXPECT_NE(refused_.find("another key"), std::string::npos) << refused_;
}

TEST_F(LkgFolderTest, AKeyThatOthersCanReadOrThatIsNoneIsNotUsedAndNotReplaced) {
    ASSERT_TRUE(save(1));
    std::filesystem::permissions(path(LkgFolder::kKeyFile), std::filesystem::perms(0644));
    EXPECT_EQ(found(), "- 1 refused");
    EXPECT_NE(refused_.find("chmod 600"), std::string::npos) << refused_;
    EXPECT_FALSE(save(2));
    std::filesystem::permissions(path(LkgFolder::kKeyFile), std::filesystem::perms(0600));
    EXPECT_EQ(found(), "1 - 0 refused");
    overwrite(LkgFolder::kKeyFile, "not a key");
    Result<void> saved = save(2);
    ASSERT_FALSE(saved);
    EXPECT_NE(saved.error().text().find("remove it"), std::string::npos);
}

TEST_F(LkgFolderTest, AKeyThatIsMendedWhileItRunsGoesOnWithTheGenerations) {
    for (std::uint64_t seq = 1; seq <= 3; ++seq) ASSERT_TRUE(save(seq));
    LkgFolder folder(dir_.path(), "dp1");
    std::filesystem::permissions(path(LkgFolder::kKeyFile), std::filesystem::perms(0644));
    EXPECT_FALSE(folder.save(state(4), 1'004));
    std::filesystem::permissions(path(LkgFolder::kKeyFile), std::filesystem::perms(0600));
    ASSERT_TRUE(folder.save(state(5), 1'005));
    EXPECT_EQ(found(), "5 3 - 0 refused");
}

TEST_F(LkgFolderTest, AProcessKilledAtAnyStepLeavesTheLastStateOrTheNewOne) {
    ASSERT_TRUE(save(1));
    std::uint64_t last = 1;
    for (FileStep deadly : kSteps) {
        std::uint64_t next = last + 1;
        auto kill_before = [deadly](FileStep step, const auto&) -> Result<void> {
            if (step == deadly) ::raise(SIGKILL);
            return {};
        };
        EXPECT_EXIT((void)save(next, kill_before), testing::KilledBySignal(SIGKILL), "");
        bool renamed = deadly == FileStep::kSyncFolder;
        std::string expected = std::to_string(renamed ? next : last);
        EXPECT_EQ(found().substr(0, expected.size() + 1), expected + " ");
        EXPECT_NE(found().find("0 refused"), std::string::npos) << "a half-written file counts";
        if (renamed) last = next;
        ++last;
        ASSERT_TRUE(save(last)) << "the next process writes as if nothing had been";
    }
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
        EXPECT_FALSE(entry.path().string().ends_with(".tmp")) << entry.path();
        ++files;
    }
    EXPECT_EQ(files, 4U);
}

TEST_F(LkgFolderTest, AnErrorAtAnyStepLeavesTheLastStateAndNoRubbish) {
    ASSERT_TRUE(save(1));
    ASSERT_TRUE(save(2));
    for (FileStep full : kSteps) {
        auto no_space = [full](FileStep step, const std::filesystem::path& file) -> Result<void> {
            if (step != full) return {};
            return Error{make_error_code(boost::system::errc::no_space_on_device), file.string()};
        };
        EXPECT_FALSE(save(3, no_space));
        std::string newest = full == FileStep::kSyncFolder ? "3 2" : "2 1";
        EXPECT_EQ(found(), newest + " - 0 refused");
    }
    ASSERT_TRUE(save(4));
    EXPECT_EQ(found().substr(0, 2), "4 ");
}

TEST_F(LkgFolderTest, AWriteThatTheKernelCutsShortIsAnErrorAndNoState) {
    ASSERT_TRUE(save(1));
    auto cut_short = [&] {
        std::signal(SIGXFSZ, SIG_IGN);
        rlimit limit{100, 100};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        ::_exit(save(2) ? 0 : 7);
    };
    EXPECT_EXIT(cut_short(), testing::ExitedWithCode(7), "");
    EXPECT_EQ(found(), "1 - 0 refused");
}

TEST_F(LkgFolderTest, EveryFileIsOnDiskBeforeItsNameIs) {
    std::vector<FileStep> steps;
    auto watch = [&](FileStep step, const auto&) -> Result<void> {
        steps.push_back(step);
        return {};
    };
    ASSERT_TRUE(save(1));
    ASSERT_TRUE(save(2, watch));
    EXPECT_EQ(steps, std::vector<FileStep>(std::begin(kSteps), std::end(kSteps)));
}

TEST_F(LkgFolderTest, TwoProcessesDoNotWriteInTurnsAndTheHeirGoesOnWhereTheOtherStopped) {
    auto first = std::make_unique<LkgFolder>(dir_.path(), "dp1");
    LkgFolder second(dir_.path(), "dp1");
    ASSERT_TRUE(first->save(state(1), 1));
    EXPECT_EQ(second.find().states.size(), 1U) << "reading needs no lock";
    Result<void> refused = second.save(state(9), 9);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text().find("--state-dir"), std::string::npos);
    ASSERT_TRUE(first->save(state(2), 2));
    ASSERT_TRUE(first->save(state(3), 3));
    first.reset();
    ASSERT_TRUE(second.save(state(4), 4));
    EXPECT_EQ(found(), "4 3 - 0 refused");
}

}  // namespace
}  // namespace balancer::dataplane
