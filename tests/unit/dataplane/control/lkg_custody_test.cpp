#include "dataplane/control/lkg_custody.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/unit/controlplane/admin/temp_dir.hpp"
#include "tests/unit/controlplane/sync/samples.hpp"

namespace balancer::dataplane {
namespace {

using samples::config;
using samples::update;
using samples::version;

constexpr Milliseconds kNever{600'000};

class LkgCustodyTest : public testing::Test {
  protected:
    LkgCustodyTest() { log_.set_level(LogLevel::kError); }

    ~LkgCustodyTest() override { end(); }

    void begin(LkgTimes times, BeforeFileStep before = {}) {
        custody_ = std::make_unique<LkgCustody>(
            loop_,
            std::make_unique<LkgFolder>(dir_.path(), "dp1", std::move(before)),
            applier_,
            board_,
            log_,
            [this](Applied& applied) { restored_ += applied.snapshot ? 1 : 0; },
            times
        );
        custody_->start();
    }

    // As a process that ends in good order.
    void end() {
        if (!custody_) return;
        custody_->stop();
        custody_->join();
        loop_->restart();
        loop_->poll();
        custody_.reset();
    }

    void apply(const v1::Update& next) {
        Applied applied = applier_.apply(next);
        ASSERT_TRUE(applied.accepted) << applied.refusal;
        custody_->applied(applied);
    }

    void leave_on_disk(const v1::Update& state) {
        ASSERT_TRUE(LkgFolder(dir_.path(), "dp1").save(state, unix_now()));
    }

    // Of the newest state on disk; 0: none.
    std::uint64_t kept_seq() {
        LkgFound found = LkgFolder(dir_.path(), "dp1").find();
        return found.states.empty() ? 0 : found.states[0].update.version().seq();
    }

    template <class Done>
    bool run_until(Done done) {
        SteadyTime limit = steady_now() + std::chrono::seconds(10);
        while (!done() && steady_now() < limit) {
            loop_->restart();
            loop_->run_one_for(Milliseconds(10));
        }
        return done();
    }

    test::TempDir dir_;
    std::shared_ptr<boost::asio::io_context> loop_ = std::make_shared<boost::asio::io_context>(1);
    Log log_{"test"};
    ProviderSlots slots_;
    Applier applier_{slots_};
    StatusBoard board_;
    std::unique_ptr<LkgCustody> custody_;
    int restored_ = 0;
};

TEST_F(LkgCustodyTest, AsksTheDiskWhenNoControlPlaneSpeaksInTime) {
    leave_on_disk(update(version(2, 8), config({"a"})));
    begin({Milliseconds(30), kNever, kNever});
    ASSERT_TRUE(run_until([&] { return restored_ == 1; }));
    ControlStatus status = board_.read();
    EXPECT_EQ(status.source, SnapshotSource::kDisk);
    EXPECT_EQ(status.applied.seq, 8U);
    EXPECT_GT(status.restored_from, 0);
}

TEST_F(LkgCustodyTest, AsksTheDiskAtOnceWhenNoneCanBeReached) {
    leave_on_disk(update(version(2, 8), config({"a"})));
    begin({kNever, kNever, kNever});
    custody_->unreachable();
    custody_->unreachable();
    EXPECT_TRUE(run_until([&] { return restored_ == 1; }));
}

TEST_F(LkgCustodyTest, NeverPutsTheDiskOverWhatAControlPlaneSaid) {
    leave_on_disk(update(version(9, 9), config({"old"})));
    begin({kNever, kNever, kNever});
    custody_->unreachable();
    // While the disk is being read.
    apply(update(version(1, 1), config({"new"})));
    end();
    EXPECT_EQ(restored_, 0);
    EXPECT_EQ(applier_.version().epoch(), 1U);
    EXPECT_EQ(applier_.source(), v1::Hello::MEMORY);
}

TEST_F(LkgCustodyTest, TakesTheOlderStateWhenTheNewestCannotBeUsed) {
    leave_on_disk(update(version(1, 1), config({"good"})));
    leave_on_disk(update(version(1, 2), config({"twice", "twice"})));
    begin({kNever, kNever, kNever});
    custody_->unreachable();
    ASSERT_TRUE(run_until([&] { return restored_ == 1; }));
    EXPECT_EQ(applier_.version().seq(), 1U);
    EXPECT_EQ(board_.read().kept_refused, 1U);
}

TEST_F(LkgCustodyTest, WithNothingOnDiskItWaitsForAControlPlane) {
    begin({kNever, Milliseconds(0), kNever});
    custody_->unreachable();
    int rounds = 0;
    run_until([&] { return restored_ > 0 || ++rounds == 30; });
    EXPECT_EQ(restored_, 0);
    EXPECT_EQ(board_.read().source, SnapshotSource::kNone);
    apply(update(version(1, 1), config({"a"})));
    EXPECT_TRUE(run_until([&] { return kept_seq() == 1; }));
}

TEST_F(LkgCustodyTest, ChangedSettingsAreWrittenSoonAndHealthLater) {
    begin({kNever, Milliseconds(1), kNever});
    apply(update(version(1, 1), config({"a"})));
    ASSERT_TRUE(run_until([&] { return board_.read().kept == 1; }));
    v1::HealthSection health;
    health.add_providers()->set_provider("a");
    apply(update(version(1, 2), config({"a"}), health));
    // The next change of settings takes it along.
    apply(update(version(1, 3), config({"b"}), health));
    ASSERT_TRUE(run_until([&] { return board_.read().kept == 2; }));
    EXPECT_EQ(kept_seq(), 3U);
    apply(update(version(1, 4), config({"b"})));
    EXPECT_EQ(kept_seq(), 3U);
    end();
    EXPECT_EQ(kept_seq(), 4U) << "what waits is written at the end";
}

TEST_F(LkgCustodyTest, ManyVersionsBecomeOneWrite) {
    begin({kNever, Milliseconds(50), kNever});
    for (std::uint64_t seq = 1; seq <= 200; ++seq) {
        apply(update(version(1, seq), config({"p" + std::to_string(seq)})));
    }
    ASSERT_TRUE(run_until([&] { return kept_seq() == 200; }));
    EXPECT_LT(board_.read().kept, 10U);
}

TEST_F(LkgCustodyTest, ANewEpochIsWrittenSoon) {
    begin({kNever, Milliseconds(1), kNever});
    apply(update(version(1, 1), config({"a"})));
    ASSERT_TRUE(run_until([&] { return kept_seq() == 1; }));
    apply(update(version(2, 5), config({"a"})));
    EXPECT_TRUE(run_until([&] { return kept_seq() == 5; })) << "else a zombie would be believed";
}

TEST_F(LkgCustodyTest, AFullDiskIsCountedAndNothingElse) {
    auto no_space = [](FileStep step, const auto&) -> Result<void> {
        if (step != FileStep::kWrite) return {};
        return Error{make_error_code(boost::system::errc::no_space_on_device), {}};
    };
    begin({kNever, Milliseconds(1), kNever}, no_space);
    for (std::uint64_t seq = 1; seq <= 3; ++seq) {
        apply(update(version(1, seq), config({"p" + std::to_string(seq)})));
        ASSERT_TRUE(run_until([&] { return board_.read().keep_failures == seq; }));
    }
    EXPECT_EQ(board_.read().kept, 0U);
    EXPECT_EQ(applier_.version().seq(), 3U);
}

TEST_F(LkgCustodyTest, AWriteThatFailedIsTriedAgainWithoutNews) {
    auto full = std::make_shared<std::atomic<bool>>(true);
    auto no_space = [full](FileStep step, const auto&) -> Result<void> {
        if (step != FileStep::kWrite || !*full) return {};
        return Error{make_error_code(boost::system::errc::no_space_on_device), {}};
    };
    begin({kNever, Milliseconds(1), Milliseconds(20)}, no_space);
    apply(update(version(1, 1), config({"a"})));
    ASSERT_TRUE(run_until([&] { return board_.read().keep_failures >= 2; }));
    *full = false;
    ASSERT_TRUE(run_until([&] { return board_.read().kept == 1; }));
    EXPECT_EQ(kept_seq(), 1U);
}

TEST_F(LkgCustodyTest, WhileItRestsTheFolderIsAnothers) {
    begin({kNever, Milliseconds(1), Milliseconds(1)});
    apply(update(version(2, 8), config({"a"})));
    ASSERT_TRUE(run_until([&] { return kept_seq() == 8; }));
    EXPECT_FALSE(LkgFolder(dir_.path(), "dp1").save(update(version(2, 9), config({"a"})), unix_now())) << "it has the lock";
    custody_->rest(true);
    EXPECT_TRUE(run_until([&] {
        return LkgFolder(dir_.path(), "dp1").save(update(version(2, 9), config({"a"})), unix_now()).has_value();
    }));
    apply(update(version(2, 10), config({"b"})));
    SteadyTime until = steady_now() + Milliseconds(200);
    run_until([&] { return steady_now() >= until; });
    EXPECT_EQ(kept_seq(), 9U);
    custody_->rest(false);
    EXPECT_TRUE(run_until([&] { return kept_seq() == 10; })) << "what came meanwhile is kept, over what the other wrote";
}

}  // namespace
}  // namespace balancer::dataplane
