#include "dataplane/control/subscriber.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "hand_made.hpp"
#include "samples.hpp"

namespace balancer::dataplane {
namespace {

using samples::HandMade;

class SubscriberTest : public testing::Test {
  protected:
    SubscriberTest() { log_.set_level(LogLevel::kError); }

    ~SubscriberTest() override {
        if (subscriber_) subscriber_->stop();
        loop_->restart();
        loop_->run();
    }

    void start(std::vector<std::string> addresses, SubscriberTimes times) {
        Subscriber::Hooks hooks;
        hooks.on_applied = [this](Applied& applied) { applied_ += applied.accepted ? 1 : 0; };
        hooks.on_connected = [this](auto, const auto&) { ++connected_; };
        hooks.on_lost = [this] { ++lost_; };
        hooks.on_unreachable = [this] { ++unreachable_; };
        hooks.in_flight = [] { return 0U; };
        hooks.ready = [] { return true; };
        hooks.draining = [this] { return draining_.load(); };
        hooks.on_drain = [this](const v1::Drain& drain) { told_to_drain_ = drain.reason(); };
        subscriber_.emplace(
            loop_,
            std::move(addresses),
            Subscriber::Identity{"dp-1", "i-1", "token"},
            std::move(hooks),
            applier_,
            board_,
            log_,
            times
        );
        subscriber_->start();
    }

    static SubscriberTimes quick() {
        SubscriberTimes times;
        times.heartbeat = Milliseconds(20);
        return times;
    }

    // Runs the loop until `done`, at most 5 s.
    template <class Done>
    bool run_until(Done done) {
        SteadyTime limit = steady_now() + std::chrono::seconds(5);
        while (!done() && steady_now() < limit) {
            loop_->restart();
            loop_->run_one_for(Milliseconds(10));
        }
        return done();
    }

    std::shared_ptr<boost::asio::io_context> loop_ = std::make_shared<boost::asio::io_context>(1);
    Log log_{"test"};
    ProviderSlots slots_;
    Applier applier_{slots_};
    StatusBoard board_;
    std::optional<Subscriber> subscriber_;
    int applied_ = 0;
    int connected_ = 0;
    int lost_ = 0;
    int unreachable_ = 0;
    std::atomic<bool> draining_{false};
    std::string told_to_drain_;
};

TEST_F(SubscriberTest, SaysOnceThatEveryAddressHasBeenTriedInVain) {
    start({"127.0.0.1:1", "127.0.0.1:2"}, quick());
    EXPECT_TRUE(run_until([&] { return unreachable_ == 1; }));
    int rounds = 0;
    run_until([&] { return unreachable_ > 1 || ++rounds == 100; });
    EXPECT_EQ(unreachable_, 1);
    EXPECT_EQ(connected_, 0);
}

TEST_F(SubscriberTest, TriesTheNextAddressWhenOneDoesNotAnswer) {
    HandMade mute;
    HandMade good;
    good.on_sync = [](HandMade::SyncStream& stream) {
        HandMade::read(stream);
        HandMade::welcome(stream);
    };
    SubscriberTimes times = quick();
    times.connect_max = Milliseconds(60);
    start({"127.0.0.1:1", mute.address(), good.address()}, times);
    EXPECT_TRUE(run_until([&] { return connected_ == 1; }));
    EXPECT_TRUE(board_.read().connected);
    subscriber_->stop();
}

TEST_F(SubscriberTest, LeavesAControlPlaneThatFallsSilent) {
    std::atomic<int> calls = 0;
    HandMade cp;
    cp.on_sync = [&](HandMade::SyncStream& stream) {
        ++calls;
        HandMade::read(stream);
        HandMade::welcome(stream);
    };
    SubscriberTimes times = quick();
    times.silence_max = Milliseconds(80);
    start({cp.address()}, times);
    EXPECT_TRUE(run_until([&] { return lost_ == 1; }));
    EXPECT_TRUE(run_until([&] { return connected_ == 2; })) << "and comes back";
    subscriber_->stop();
}

TEST_F(SubscriberTest, LeavesAControlPlaneThatTellsOfAVersionAndDoesNotSendIt) {
    HandMade cp;
    cp.on_sync = [](HandMade::SyncStream& stream) {
        HandMade::read(stream);
        HandMade::welcome(stream);
        HandMade::exchange(stream, samples::update(samples::version(1, 1), samples::config({"a"})));
        v1::SyncResponse message;
        *message.mutable_ping()->mutable_head() = samples::version(1, 2);
        v1::SyncRequest heartbeat;
        while (stream.Write(message) && stream.Read(&heartbeat)) {
        }
    };
    SubscriberTimes times = quick();
    times.behind_max = Milliseconds(80);
    start({cp.address()}, times);
    ASSERT_TRUE(run_until([&] { return applied_ == 1; }));
    EXPECT_TRUE(run_until([&] { return lost_ == 1; }));
    EXPECT_EQ(board_.read().head_seq, 2U);
    subscriber_->stop();
}

TEST_F(SubscriberTest, StaysWithAControlPlaneWhoseVersionItHasRefused) {
    std::atomic<int> pings = 0;
    HandMade cp;
    cp.on_sync = [&](HandMade::SyncStream& stream) {
        HandMade::read(stream);
        HandMade::welcome(stream);
        v1::ConfigSection unusable = samples::config({"a", "a"});
        HandMade::exchange(stream, samples::update(samples::version(1, 1), unusable));
        v1::SyncResponse message;
        *message.mutable_ping()->mutable_head() = samples::version(1, 1);
        v1::SyncRequest heartbeat;
        while (stream.Write(message) && stream.Read(&heartbeat)) ++pings;
    };
    SubscriberTimes times = quick();
    times.behind_max = Milliseconds(40);
    start({cp.address()}, times);
    EXPECT_TRUE(run_until([&] { return pings >= 10; }));
    EXPECT_EQ(lost_, 0) << "it would refuse the same again";
    subscriber_->stop();
}

TEST_F(SubscriberTest, SaysWhyItLeavesBeforeItDoes) {
    std::atomic<bool> refused = false;
    HandMade cp;
    cp.on_sync = [&](HandMade::SyncStream& stream) {
        HandMade::read(stream);
        HandMade::welcome(stream);
        HandMade::exchange(stream, samples::update(samples::version(3, 1), samples::config({"a"})));
        auto answer = HandMade::exchange(
            stream, samples::update(samples::version(2, 9), samples::config({"b"}))
        );
        if (answer.nack().code() == v1::NACK_CODE_STALE) refused = true;
    };
    SubscriberTimes times = quick();
    times.heartbeat = Milliseconds(500);  // how long a stream that is being left may take to end
    start({cp.address()}, times);
    EXPECT_TRUE(run_until([&] { return refused && lost_ == 1; }));
    EXPECT_EQ(applier_.version().epoch(), 3U);
    subscriber_->stop();
}

TEST_F(SubscriberTest, PassesOnThatAnOperatorWantsItToDrainAndSaysThatItDoes) {
    HandMade control_plane;
    std::atomic<bool> heard_draining{false};
    control_plane.on_sync = [&](HandMade::SyncStream& stream) {
        HandMade::read(stream);
        HandMade::welcome(stream);
        v1::SyncResponse drain;
        drain.mutable_drain()->set_reason("upgrade");
        stream.Write(drain);
        v1::SyncRequest message;
        while (!heard_draining && stream.Read(&message)) heard_draining = message.heartbeat().draining();
    };
    start({control_plane.address()}, SubscriberTimes());
    ASSERT_TRUE(run_until([&] { return told_to_drain_ == "upgrade"; }));
    draining_ = true;
    subscriber_->tell_state();
    EXPECT_TRUE(run_until([&] { return heard_draining.load(); })) << "at once, not with the next heartbeat";
}

TEST_F(SubscriberTest, OneThatDrainsDoesNotComeBackForItsNameMayBeAnothersByThen) {
    HandMade control_plane;
    std::atomic<int> came{0};
    control_plane.on_sync = [&](HandMade::SyncStream& stream) {
        ++came;
        HandMade::read(stream);
        HandMade::welcome(stream);
        v1::SyncResponse goaway;
        goaway.mutable_goaway()->set_reason(v1::Goaway::OVERLOADED);
        stream.Write(goaway);
    };
    draining_ = true;
    start({control_plane.address()}, quick());
    ASSERT_TRUE(run_until([&] { return lost_ == 1; }));
    SteadyTime until = steady_now() + Milliseconds(600);
    run_until([&] { return steady_now() >= until; });
    EXPECT_EQ(came, 1);
    // It does not end after all.
    draining_ = false;
    subscriber_->tell_state();
    EXPECT_TRUE(run_until([&] { return came >= 2; }));
}

}  // namespace
}  // namespace balancer::dataplane
