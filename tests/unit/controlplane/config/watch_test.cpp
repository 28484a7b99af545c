#include "controlplane/config/watch.hpp"

#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "config_fixture.hpp"
#include "controlplane/config/watched_paths.hpp"

namespace balancer::controlplane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class Watch : public ::testing::Test {
  protected:
    void start(const fs::path& file) {
        watch_ = std::make_unique<ConfigWatch>(context_, log_, file, [this] { ++fired_; });
        watch_->start();
    }

    // Runs until the watch has fired, at most 10 s.
    bool fires() {
        int before = fired_;
        auto deadline = std::chrono::steady_clock::now() + 10s;
        context_.restart();
        while (fired_ == before && std::chrono::steady_clock::now() < deadline) {
            context_.run_one_for(100ms);
        }
        return fired_ != before;
    }

    // Runs for a while; what a change before leaves behind is taken in as well.
    void settle(std::chrono::milliseconds time) {
        context_.restart();
        context_.run_for(time);
    }

    TemporaryFolder folder_;
    boost::asio::io_context context_{1};
    Log log_{"test"};
    int fired_ = 0;
    std::unique_ptr<ConfigWatch> watch_;
};

TEST_F(Watch, SeesAWriteInPlace) {
    write(folder_ / "config.yaml", "1");
    start(folder_ / "config.yaml");
    write(folder_ / "config.yaml", "2");
    EXPECT_TRUE(fires());
}

TEST_F(Watch, SeesARenameOver) {
    write(folder_ / "config.yaml", "1");
    start(folder_ / "config.yaml");
    for (int i = 0; i < 2; ++i) {
        write(folder_ / "new", "2");
        fs::rename(folder_ / "new", folder_ / "config.yaml");
        EXPECT_TRUE(fires());
    }
}

TEST_F(Watch, SeesDeletionAndCreation) {
    write(folder_ / "config.yaml", "1");
    start(folder_ / "config.yaml");
    fs::remove(folder_ / "config.yaml");
    EXPECT_TRUE(fires());
    write(folder_ / "config.yaml", "2");
    EXPECT_TRUE(fires());
}

// As Kubernetes mounts a ConfigMap: config.yaml -> ..data/config.yaml, ..data -> a folder of the
// day.
TEST_F(Watch, SeesASwapOfALinkedFolder) {
    for (const char* day : {"day1", "day2"}) {
        fs::create_directory(folder_ / day);
        write(folder_ / day / "config.yaml", day);
    }
    fs::create_directory_symlink("day1", folder_ / "..data");
    fs::create_symlink("..data/config.yaml", folder_ / "config.yaml");
    start(folder_ / "config.yaml");

    fs::create_directory_symlink("day2", folder_ / "..data_tmp");
    fs::rename(folder_ / "..data_tmp", folder_ / "..data");
    EXPECT_TRUE(fires());
    settle(300ms);
    // The new target is watched now.
    write(folder_ / "day2" / "config.yaml", "changed");
    EXPECT_TRUE(fires());
}

TEST_F(Watch, SeesAWriteWhereALinkLeads) {
    fs::create_directory(folder_ / "real");
    write(folder_ / "real" / "file", "1");
    fs::create_symlink(folder_ / "real" / "file", folder_ / "config.yaml");
    start(folder_ / "config.yaml");
    write(folder_ / "real" / "new", "2");
    fs::rename(folder_ / "real" / "new", folder_ / "real" / "file");
    EXPECT_TRUE(fires());
}

TEST_F(Watch, SeesAWriteThroughAnotherNameOfTheFile) {
    fs::create_directory(folder_ / "elsewhere");
    write(folder_ / "config.yaml", "1");
    fs::create_hard_link(folder_ / "config.yaml", folder_ / "elsewhere" / "same");
    start(folder_ / "config.yaml");
    write(folder_ / "elsewhere" / "same", "2");
    EXPECT_TRUE(fires());
}

TEST_F(Watch, SeesAFolderThatComesBack) {
    fs::create_directory(folder_ / "etc");
    write(folder_ / "etc" / "config.yaml", "1");
    start(folder_ / "etc" / "config.yaml");
    fs::remove_all(folder_ / "etc");
    settle(300ms);
    fs::create_directory(folder_ / "etc");
    write(folder_ / "etc" / "config.yaml", "2");
    EXPECT_TRUE(fires());
}

TEST_F(Watch, TakesManyWritesTogether) {
    write(folder_ / "config.yaml", "1");
    start(folder_ / "config.yaml");
    for (int i = 0; i < 50; ++i) write(folder_ / "config.yaml", std::to_string(i));
    EXPECT_TRUE(fires());
    settle(300ms);
    EXPECT_EQ(fired_, 1);
}

TEST_F(Watch, LetsOtherFilesOfTheFolderBe) {
    write(folder_ / "config.yaml", "1");
    start(folder_ / "config.yaml");
    write(folder_ / "state.db", "noise");
    settle(400ms);
    EXPECT_EQ(fired_, 0);
    write(folder_ / "config.yaml", "2");
    EXPECT_TRUE(fires());
}

TEST_F(Watch, IsSilentAfterStop) {
    write(folder_ / "config.yaml", "1");
    start(folder_ / "config.yaml");
    write(folder_ / "config.yaml", "2");
    settle(10ms);  // the event is in, the debounce runs
    watch_->stop();
    settle(300ms);
    EXPECT_EQ(fired_, 0);
}

TEST_F(Watch, SaysOnceThatTheFolderIsMissingAndSeesItCome) {
    testing::internal::CaptureStderr();
    start(folder_ / "none" / "config.yaml");
    settle(2'300ms);
    std::string words = testing::internal::GetCapturedStderr();
    std::size_t at = words.find("none/config.yaml");
    EXPECT_NE(at, std::string::npos) << words;
    EXPECT_EQ(words.find("cannot be watched", at), std::string::npos) << words;
    EXPECT_NE(words.find("balancerctl config reload"), std::string::npos) << words;
    EXPECT_EQ(fired_, 0);
    fs::create_directory(folder_ / "none");
    write(folder_ / "none" / "config.yaml", "1");
    EXPECT_TRUE(fires());
}

TEST_F(Watch, TakesNoMoreDescriptorsHoweverLongAFolderIsAway) {
    auto descriptors = [] {
        return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
    };
    fs::create_directory(folder_ / "real");
    write(folder_ / "real" / "config.yaml", "1");
    fs::create_symlink("real/config.yaml", folder_ / "config.yaml");
    start(folder_ / "config.yaml");
    auto before = descriptors();
    fs::rename(folder_ / "real", folder_ / "away");
    settle(3'500ms);  // three tries
    EXPECT_LE(descriptors(), before);
    fs::rename(folder_ / "away", folder_ / "real");
    EXPECT_TRUE(fires());
    settle(100ms);
    EXPECT_LE(descriptors(), before);
}

TEST(WatchedNames, FollowEachLinkOfTheWay) {
    TemporaryFolder folder;
    fs::create_directory(folder / "b");
    write(folder / "b" / "real", "1");
    fs::create_symlink("b", folder / "a");
    fs::create_symlink("real", folder / "b" / "link");
    WatchedNames names = watched_names(folder / "a" / "." / "link");
    EXPECT_EQ(names[folder / "b"], (std::set<std::string>{"link", "real"}));
    EXPECT_TRUE(names[(folder / "a").parent_path()].contains("a"));
}

TEST(WatchedNames, EndOnALoop) {
    TemporaryFolder folder;
    fs::create_symlink("y", folder / "x");
    fs::create_symlink("x", folder / "y");
    EXPECT_FALSE(watched_names(folder / "x").empty());
}

}  // namespace
}  // namespace balancer::controlplane
