#include "dataplane/coalesce/calls.hpp"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <future>
#include <random>
#include <thread>

#include "tests/unit/dataplane/coalesce/calls_fixture.hpp"

namespace balancer::dataplane {
namespace {

TEST_F(CallsTest, BothWorkersReadOneCall) {
    auto own = make(here_);
    EXPECT_FALSE(own->has_readers());
    Got early;
    Got late;
    Got local;
    auto first = join(there_, early);
    EXPECT_TRUE(own->has_readers());
    own->begin(head());
    own->append(chunk("one "));
    run();
    EXPECT_EQ(early.bytes, "one ");
    auto second = join(there_, late);
    auto third = join(here_, local);
    EXPECT_EQ(there_.mirrors(), 1U);
    own->append(chunk("two"));
    own->end({});
    run();
    for (const Got* got : {&early, &late, &local}) {
        EXPECT_EQ(got->bytes, "one two");
        ASSERT_TRUE(got->end);
        EXPECT_EQ(got->end->kind, AnswerEnd::Kind::kWhole);
    }
    expect_nothing_left();
    // What comes now is a new call.
    make(there_).reset();
    expect_nothing_left();
}

TEST_F(CallsTest, TheLastToLeaveEndsWhatItsMakerLeftFirst) {
    auto own = make(here_);
    Got got;
    Got other;
    auto reader = join(there_, got);
    auto second = join(there_, other);
    int deserted = 0;
    EXPECT_TRUE(own->go_on_without_client([&] { ++deserted; }));
    reader->stop();
    run();
    reader.reset();
    run();
    EXPECT_EQ(deserted, 0);
    second->stop();
    run();
    second.reset();
    run();
    EXPECT_EQ(deserted, 1);
    // Nobody joins what is being given up.
    expect_nothing_left();
    own.reset();
    expect_nothing_left();
}

TEST_F(CallsTest, AMakerAloneIsNotKept) {
    auto own = make(here_);
    EXPECT_FALSE(own->go_on_without_client([] {}));
    expect_nothing_left();
}

TEST_F(CallsTest, ALocalReaderKeepsTheCallToo) {
    auto own = make(here_);
    Got got;
    auto reader = join(here_, got);
    bool deserted = false;
    EXPECT_TRUE(own->go_on_without_client([&] { deserted = true; }));
    own->begin(head());
    own->append(chunk("all"));
    own->end({});
    run();
    EXPECT_EQ(got.bytes, "all");
    reader.reset();
    EXPECT_FALSE(deserted);
    expect_nothing_left();
}

TEST_F(CallsTest, AFailureIsKeptForAWhile) {
    auto own = make(here_);
    Got first;
    auto reader = join(there_, first);
    SteadyTime until = steady_now() + std::chrono::hours(1);
    own->end({AnswerEnd::Kind::kFailed, lost()}, until);
    own.reset();
    run();
    ASSERT_TRUE(first.end);
    EXPECT_EQ(first.end->error.message, "lost");
    reader.reset();
    Got again;
    Got here;
    auto second = join(there_, again);
    auto third = join(here_, here);
    for (const Got* got : {&again, &here}) {
        ASSERT_TRUE(got->end);
        EXPECT_EQ(got->end->kind, AnswerEnd::Kind::kFailed);
    }
    second.reset();
    third.reset();
    here_.tidy(until - std::chrono::seconds(1));
    EXPECT_EQ(here_.listed(), 1U);
    here_.tidy(until);
    expect_nothing_left();
}

TEST_F(CallsTest, WithoutADelayAFailureIsOver) {
    auto own = make(here_);
    own->end({AnswerEnd::Kind::kFailed, lost()});
    expect_nothing_left();
}

TEST_F(CallsTest, WhoJoinsWhatHasJustEndedStartsAfresh) {
    auto own = make(here_);
    Calls::Found found = there_.find_or_begin(kOne, Calls::Look::kEverywhere);
    ASSERT_FALSE(found.ours);
    Got got;
    auto reader = read(there_, contexts_[1], found.call, got);
    own->begin(head());
    own->end({});
    run();
    ASSERT_TRUE(got.end);
    EXPECT_EQ(got.end->kind, AnswerEnd::Kind::kGone);
    reader.reset();
    expect_nothing_left();
    EXPECT_TRUE(there_.find_or_begin(kOne, Calls::Look::kNowhere).ours);
    expect_nothing_left();
}

TEST_F(CallsTest, AMakerThatIsGoneWithoutAnEndSendsItsReadersToStartAfresh) {
    auto own = make(here_);
    Got got;
    auto reader = join(there_, got);
    own.reset();
    run();
    ASSERT_TRUE(got.end);
    EXPECT_EQ(got.end->kind, AnswerEnd::Kind::kGone);
    reader.reset();
    expect_nothing_left();
}

TEST_F(CallsTest, SignaturesThatTheTableCannotTellApartShareNothing) {
    const wire::Signature twin{kOne.low, kOne.high | 1};
    auto own = make(here_);
    EXPECT_TRUE(here_.find_or_begin(twin, Calls::Look::kEverywhere).ours);
    Calls::Found found = there_.find_or_begin(twin, Calls::Look::kEverywhere);
    ASSERT_FALSE(found.ours);
    Got got;
    auto reader = read(there_, contexts_[1], found.call, got);
    run();
    ASSERT_TRUE(got.end);
    EXPECT_EQ(got.end->kind, AnswerEnd::Kind::kGone);
    own->end({});
    reader.reset();
    found.call.reset();
    expect_nothing_left();
}

TEST_F(CallsTest, AChunkCountsAsLongAsAnybodyHasIt) {
    auto own = make(here_);
    Got got;
    auto reader = join(there_, got);
    own->begin(head());
    own->append(here_.make_chunk(std::string(1000, 'x')));
    run();
    EXPECT_EQ(got.bytes.size(), 1000U);
    EXPECT_GE(here_.chunk_bytes(), 1000U);
    EXPECT_EQ(there_.chunk_bytes(), 0U);
    own->end({});
    own.reset();
    // Of the worker that made it, though only the other one's clients read it now.
    EXPECT_GE(here_.chunk_bytes(), 1000U);
    run();
    reader.reset();
    run();
    EXPECT_EQ(here_.chunk_bytes(), 0U);
    expect_nothing_left();
}

TEST_F(CallsTest, ASealedCallIsReadToItsEndAndJoinedByNobody) {
    auto own = make(here_);
    Got got;
    auto reader = join(there_, got);
    own->begin(head());
    own->append(chunk("one "));
    run();
    own->seal();
    EXPECT_TRUE(own->wanted());
    run();
    EXPECT_EQ(here_.listed(), 0U);
    EXPECT_EQ(there_.listed(), 0U);
    make(there_).reset();
    own->append(chunk("two"));
    own->end({});
    run();
    EXPECT_EQ(got.bytes, "one two");
    EXPECT_FALSE(own->wanted());
    reader.reset();
    expect_nothing_left();
}

TEST_F(CallsTest, TheMakerIsNamedAndHearsOfEachWhoComes) {
    Calls::Found found = here_.find_or_begin(kOne, Calls::Look::kEverywhere);
    int news = 0;
    OwnCall own(here_, found.call, "bal_1", [&news] { ++news; });
    Got got[3];
    auto local = join(here_, got[0]);
    EXPECT_EQ(news, 1);
    EXPECT_EQ(local->maker(), "bal_1");
    auto remote = join(there_, got[1]);
    auto second = join(there_, got[2]);
    EXPECT_EQ(news, 2);  // one mirror
    EXPECT_EQ(own.joined(), 3U);
    EXPECT_EQ(remote->maker(), "bal_1");
    own.end({});
    run();
    EXPECT_EQ(got[2].last, Broadcast::Take::kEnd);
}

TEST_F(CallsTest, WhatIsTooLongToBeJoinedIsStillReadToItsEnd) {
    Calls here(contexts_[0], claims_, 0, {.backlog_max = 1000, .kept_max = 10});
    Calls there(contexts_[1], claims_, 1, {.backlog_max = 1000, .kept_max = 10});
    here.meet({&here, &there});
    there.meet({&here, &there});
    Calls::Found made = here.find_or_begin(kOne, Calls::Look::kEverywhere);
    OwnCall own(here, made.call);
    Got got;
    auto reader = read(there, contexts_[1], there.find_or_begin(kOne, Calls::Look::kEverywhere).call, got);
    run();
    own.begin(head());
    std::string all;
    for (char c = 'a'; c < 'k'; ++c) {
        own.append(chunk(std::string(5, c)));
        all.append(5, c);
        run();
    }
    EXPECT_EQ(here.listed(), 0U);
    EXPECT_EQ(there.listed(), 0U);
    bool deserted = false;
    EXPECT_TRUE(own.go_on_without_client([&] { deserted = true; }));
    EXPECT_EQ(got.bytes, all);
    reader->stop();
    run();
    reader.reset();
    run();
    EXPECT_TRUE(deserted);
    EXPECT_EQ(there.mirrors(), 0U);
}

// Workers on threads of their own, clients that come and leave at random: every one that stays gets a whole answer, each of
// its bytes in order, and at the end nothing is left. For the thread sanitizer too.
class CallsOnThreads : public testing::Test {
  protected:
    static constexpr std::size_t kWorkers = 3;
    static constexpr int kClients = 4000;
    static constexpr int kSignatures = 5;

    struct Worker {
        net::io_context context{1};
        std::unique_ptr<Calls> calls;
        std::mt19937 random;
        int left = 0;  // clients that have not ended
        int made = 0;
        int whole = 0;
        int wrong = 0;
        std::promise<void> done;
    };

    static std::string answer() {
        std::string all;
        for (int i = 0; i < 20; ++i) all += "event " + std::to_string(i) + "\n\n";
        return all;
    }

    static net::awaitable<void> pause(Worker& worker) {
        for (unsigned n = worker.random() % 4; n > 0; --n) co_await net::post(worker.context, net::use_awaitable);
    }

    static net::awaitable<void> make_call(Worker& worker, std::shared_ptr<Call> call) {
        ++worker.made;
        OwnCall own(*worker.calls, std::move(call));
        bool deserted = false;
        bool has_client = true;
        own.begin(head());
        for (int i = 0; i < 20 && !deserted; ++i) {
            own.append(chunk("event " + std::to_string(i) + "\n\n"));
            co_await pause(worker);
            if (has_client && worker.random() % 20 == 0) {
                has_client = false;
                if (!own.go_on_without_client([&deserted] { deserted = true; })) deserted = true;
            }
        }
        if (deserted) co_return;
        if (worker.random() % 2 == 0) {
            own.end_and_keep({}, {SteadyTime::max(), {}, {}});
        } else {
            own.end({});
        }
        if (!has_client || worker.random() % 4 == 0) own.client_missed_it();
    }

    static net::awaitable<void> client(Worker& worker) {
        co_await pause(worker);
        wire::Signature signature{3, std::uint64_t{1 + worker.random() % kSignatures} << 20};
        for (int tries = 0;; ++tries) {
            auto look = tries < 2 ? Calls::Look::kEverywhere : Calls::Look::kNowhere;
            auto asks = worker.random() % 2 == 0 ? Calls::Asks::kFirst : Calls::Asks::kAgain;
            Calls::Found found = worker.calls->find_or_begin(signature, look, asks);
            if (found.ours) {
                co_await make_call(worker, std::move(found.call));
                break;
            }
            Got got;
            CallReader reader(*worker.calls, std::move(found.call));
            if (worker.random() % 4 == 0) {
                co_await pause(worker);
                reader.missed_it();
                break;  // leaves
            }
            co_await read_all(reader, got);
            if (!got.end || got.end->kind == AnswerEnd::Kind::kGone) continue;
            ++(got.bytes == answer() ? worker.whole : worker.wrong);
            break;
        }
        if (--worker.left == 0) worker.done.set_value();
    }
};

TEST_F(CallsOnThreads, ComeAndGo) {
    ClaimTable claims;
    Worker workers[kWorkers];
    std::vector<Calls*> all;
    for (std::size_t i = 0; i < kWorkers; ++i) {
        workers[i].calls = std::make_unique<Calls>(workers[i].context, claims, static_cast<WorkerIndex>(i));
        workers[i].random.seed(static_cast<unsigned>(i));
        all.push_back(workers[i].calls.get());
    }
    std::vector<std::jthread> threads;
    for (Worker& worker : workers) {
        worker.calls->meet(all);
        worker.left = kClients;
        net::post(worker.context, [&worker] {
            for (int i = 0; i < kClients; ++i) net::co_spawn(worker.context, client(worker), net::detached);
        });
    }
    {
        std::vector<net::executor_work_guard<net::io_context::executor_type>> guards;
        for (Worker& worker : workers) guards.emplace_back(worker.context.get_executor());
        for (Worker& worker : workers) threads.emplace_back([&worker] { worker.context.run(); });
        for (Worker& worker : workers) worker.done.get_future().wait();
    }
    threads.clear();
    int made = 0;
    int whole = 0;
    for (Worker& worker : workers) {
        made += worker.made;
        whole += worker.whole;
        EXPECT_EQ(worker.wrong, 0);
        worker.calls->drop_kept_unless([](const KeptAnswer&) { return false; });
        EXPECT_EQ(worker.calls->listed(), 0U);
        EXPECT_EQ(worker.calls->mirrors(), 0U);
    }
    EXPECT_EQ(claims.held(), 0U);
    EXPECT_GT(whole, made);
}

}  // namespace
}  // namespace balancer::dataplane
