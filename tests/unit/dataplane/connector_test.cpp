// Names, addresses, and what this machine itself lacks.
#include "dataplane/upstream/connector.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <condition_variable>
#include <mutex>

#include "tests/support/silent_listener.hpp"

namespace balancer::dataplane {
namespace {

namespace net = boost::asio;
using tcp = net::ip::tcp;

// A gate that look-ups wait at; opens for good.
class Gate {
  public:
    void open() {
        std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    void pass() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return open_; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
};

class Connecting : public testing::Test {
  protected:
    Connecting() {
        sweep_.start([] {});
        acceptor_.listen();
    }
    ~Connecting() override { sweep_.stop(); }

    Provider provider(const std::string& host) const {
        Provider one;
        one.name = host;
        one.endpoint.host = host;
        one.endpoint.port = acceptor_.local_endpoint().port();
        return one;
    }
    Addresses here() const { return {acceptor_.local_endpoint()}; }

    // Starts to connect; `done` is set at the end.
    struct Attempt {
        std::unique_ptr<UpstreamStream> stream;
        std::optional<ConnectFailure> done;
    };
    std::shared_ptr<Attempt> begin(
        Connector& connector, const Provider& provider, Milliseconds timeout = Milliseconds(8'000)
    ) {
        auto attempt = std::make_shared<Attempt>();
        attempt->stream = std::make_unique<UpstreamStream>(context_, sweep_);
        net::co_spawn(context_, run(connector, attempt, provider, timeout), net::detached);
        return attempt;
    }
    static net::awaitable<void> run(
        Connector& connector, std::shared_ptr<Attempt> attempt, Provider provider, Milliseconds timeout
    ) {
        attempt->done = co_await connector.connect(*attempt->stream, provider, timeout);
    }
    // Runs the loop until the attempt has ended, 10 s at most.
    const ConnectFailure& end_of(const std::shared_ptr<Attempt>& attempt) {
        SteadyTime until = steady_now() + std::chrono::seconds(10);
        while (!attempt->done && steady_now() < until) context_.run_one_for(Milliseconds(100));
        if (!attempt->done) {
            ADD_FAILURE() << "still connecting";
            attempt->done = ConnectFailure{FailureClass::kTimeout, "never ended"};
        }
        return *attempt->done;
    }

    net::io_context context_{1};
    Sweep sweep_{context_};
    tcp::acceptor acceptor_{context_, tcp::endpoint(net::ip::address_v4::loopback(), 0)};
};

TEST_F(Connecting, OneSlowNameDoesNotHoldUpAnother) {
    auto gate = std::make_shared<Gate>();
    Addresses here = this->here();
    Connector connector(context_, [gate, here](const std::string& host, std::uint16_t) -> Result<Addresses> {
        if (host == "slow.example") gate->pass();
        return here;
    });
    auto slow = begin(connector, provider("slow.example"));
    auto quick = begin(connector, provider("quick.example"));
    EXPECT_EQ(end_of(quick).failure, FailureClass::kNone);
    EXPECT_FALSE(slow->done);
    gate->open();
    EXPECT_EQ(end_of(slow).failure, FailureClass::kNone);
}

TEST_F(Connecting, ALookUpThatHangsEndsWithTheConnectTimeoutOrTheClient) {
    auto gate = std::make_shared<Gate>();
    Connector connector(context_, [gate](const std::string&, std::uint16_t) -> Result<Addresses> {
        gate->pass();
        return invalid("no");
    });
    auto timed = begin(connector, provider("a.example"), Milliseconds(200));
    EXPECT_EQ(end_of(timed).failure, FailureClass::kTimeout);
    EXPECT_NE(timed->done->detail.find("resolving a.example"), std::string::npos) << timed->done->detail;
    auto left = begin(connector, provider("b.example"));
    context_.run_for(Milliseconds(50));
    left->stream->abort();
    EXPECT_EQ(end_of(left).failure, FailureClass::kConnect);
    gate->open();
}

TEST_F(Connecting, ManyWhoWaitForANameAskOnce) {
    auto gate = std::make_shared<Gate>();
    auto asked = std::make_shared<std::atomic<int>>(0);
    Addresses here = this->here();
    Connector connector(context_, [=](const std::string&, std::uint16_t) -> Result<Addresses> {
        ++*asked;
        gate->pass();
        return here;
    });
    std::vector<std::shared_ptr<Attempt>> attempts;
    for (int i = 0; i < 20; ++i) attempts.push_back(begin(connector, provider("a.example")));
    context_.run_for(Milliseconds(50));
    gate->open();
    for (const auto& attempt : attempts) EXPECT_EQ(end_of(attempt).failure, FailureClass::kNone);
    EXPECT_EQ(end_of(begin(connector, provider("a.example"))).failure, FailureClass::kNone);
    EXPECT_EQ(*asked, 1);
}

TEST_F(Connecting, ANameThatCannotBeResolvedSaysSo) {
    Connector connector(context_, [](const std::string&, std::uint16_t) -> Result<Addresses> {
        return Error{net::error::host_not_found, "Host not found"};
    });
    const ConnectFailure failed = end_of(begin(connector, provider("nowhere.example")));
    EXPECT_EQ(failed.failure, FailureClass::kConnect);
    EXPECT_EQ(failed.detail, "cannot resolve nowhere.example: Host not found");
    EXPECT_FALSE(failed.ours);
}

TEST_F(Connecting, AnAddressThatSwallowsPacketsLeavesTimeForTheNext) {
    tests::SilentListener nobody;
    Addresses both{tcp::endpoint(net::ip::address_v4::loopback(), nobody.port()), here().front()};
    Connector connector(context_, [both](const std::string&, std::uint16_t) -> Result<Addresses> {
        return both;
    });
    const ConnectFailure first = end_of(begin(connector, provider("two.example"), Milliseconds(1'000)));
    EXPECT_EQ(first.failure, FailureClass::kNone) << first.detail;
    // The one that answered comes first from now on.
    SteadyTime began = steady_now();
    EXPECT_EQ(end_of(begin(connector, provider("two.example"), Milliseconds(9'000))).failure, FailureClass::kNone);
    EXPECT_LT(steady_now() - began, std::chrono::seconds(3));
}

// Not provoked: with no descriptor left, UBSan's own checks of virtual calls fail.
TEST(LackedHere, WhatThisMachineLacksIsNotTheProvidersFault) {
    using boost::system::system_category;
    for (int number : {EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL, EAGAIN}) {
        EXPECT_TRUE(lacked_here(ErrorCode(number, system_category()))) << number;
    }
    for (int number : {ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EPIPE}) {
        EXPECT_FALSE(lacked_here(ErrorCode(number, system_category()))) << number;
    }
    std::system_error none(EAGAIN, std::generic_category());  // as std::thread throws it
    EXPECT_TRUE(lacked_here(no_thread(none)));
    EXPECT_FALSE(lacked_here(net::error::host_not_found_try_again));
    EXPECT_FALSE(lacked_here(ErrorCode()));
}

}  // namespace
}  // namespace balancer::dataplane
