// Whole answers that are kept for those who ask again because they did not get theirs.
#include <gtest/gtest.h>

#include "tests/unit/dataplane/coalesce/calls_fixture.hpp"

namespace balancer::dataplane {
namespace {

using Asks = Calls::Asks;
using Look = Calls::Look;

constexpr KeepLimits kRoomy{};

class Keep : public CallsTest {
  protected:
    static constexpr SteadyTime kLater = SteadyTime::max();

    // A call that has ended whole and is kept.
    std::unique_ptr<OwnCall> make_kept(Calls& calls, SteadyTime until = kLater) {
        Calls::Found found = calls.find_or_begin(kOne, Look::kEverywhere);
        EXPECT_TRUE(found.ours);
        auto own = std::make_unique<OwnCall>(calls, found.call, "bal_1");
        own->begin(head());
        own->append(chunk("all of it"));
        own->end_and_keep({}, {until, "alpha", "model-x"});
        return own;
    }

    void expect_replay(Calls& calls, Asks asks) {
        Got got;
        auto reader = join(calls, got, asks);
        EXPECT_EQ(got.bytes, "all of it");
        ASSERT_TRUE(got.end);
        EXPECT_EQ(got.end->kind, AnswerEnd::Kind::kWhole);
        EXPECT_TRUE(reader->is_replay());
        EXPECT_EQ(reader->maker(), "bal_1");
    }

    // Who asks for it gets a call of its own, at the second look at the latest.
    void expect_fresh(Calls& calls, Asks asks = Asks::kFirst) {
        Calls::Found found = calls.find_or_begin(kOne, Look::kEverywhere, asks);
        if (!found.ours) {
            Got got;
            auto reader = read(calls, &calls == &here_ ? contexts_[0] : contexts_[1], found.call, got);
            run();
            ASSERT_TRUE(got.end);
            EXPECT_EQ(got.end->kind, AnswerEnd::Kind::kGone);
            EXPECT_FALSE(reader->is_replay());
            reader.reset();
            run();
            found = calls.find_or_begin(kOne, Look::kEverywhere, asks);
        }
        EXPECT_TRUE(found.ours);
        OwnCall own(calls, std::move(found.call));
    }
};

TEST_F(Keep, WhoSaysThatItAsksAgainGetsItOnEitherWorker) {
    make_kept(here_).reset();
    EXPECT_EQ(here_.kept(), 1U);
    for (Calls* calls : {&here_, &there_, &here_, &there_}) expect_replay(*calls, Asks::kAgain);
    here_.drop_kept_unless([](const KeptAnswer&) { return false; });
    expect_nothing_left();
}

TEST_F(Keep, AnybodyElseStartsAfreshAndThatIsTheEndOfIt) {
    for (Calls* calls : {&here_, &there_}) {
        make_kept(here_).reset();
        expect_fresh(*calls);
        EXPECT_EQ(here_.kept(), 0U);
        run();
        expect_fresh(*calls, Asks::kAgain);
        expect_nothing_left();
    }
}

TEST_F(Keep, EachThatLeftWithoutItMakesRoomForOneThatComes) {
    for (Calls* calls : {&here_, &there_}) {
        auto own = make_kept(here_);
        own->client_missed_it();
        own.reset();
        expect_replay(*calls, Asks::kFirst);
        expect_fresh(*calls);
        expect_nothing_left();
    }
}

TEST_F(Keep, OneThatAsksAgainIsTakenForTheOneThatLeft) {
    auto own = make_kept(here_);
    own->client_missed_it();
    own.reset();
    expect_replay(here_, Asks::kAgain);
    expect_fresh(here_);
    expect_nothing_left();
}

TEST_F(Keep, AReaderThatLeavesIsMissedFromEitherWorker) {
    for (Calls* calls : {&here_, &there_}) {
        Calls::Found found = here_.find_or_begin(kOne, Look::kEverywhere);
        OwnCall own(here_, found.call, "bal_1");
        Got got;
        auto reader = join(*calls, got);
        own.begin(head());
        own.append(chunk("all of it"));
        own.end_and_keep({}, {kLater, "alpha", "model-x"});
        run();
        EXPECT_FALSE(reader->is_replay());
        reader->missed_it();
        reader.reset();
        run();
        expect_replay(there_, Asks::kFirst);
        here_.drop_kept_unless([](const KeptAnswer&) { return false; });
        run();
    }
    expect_nothing_left();
}

TEST_F(Keep, OneThatHasComeBackInFlightIsMissedNoMore) {
    Calls::Found found = here_.find_or_begin(kOne, Look::kEverywhere);
    auto own = std::make_unique<OwnCall>(here_, found.call, "bal_1");
    Got first;
    Got second;
    auto reader = join(there_, first);
    run();
    reader->missed_it();
    run();
    auto again = join(there_, second);
    run();
    own->begin(head());
    own->end_and_keep({}, {kLater, "alpha", "model-x"});
    run();
    again.reset();
    reader->stop();
    run();
    reader.reset();
    own.reset();
    run();
    expect_fresh(there_);
    expect_nothing_left();
}

TEST_F(Keep, ItsTimeIsUp) {
    SteadyTime until = steady_now() + std::chrono::hours(1);
    make_kept(here_, until).reset();
    here_.tidy(until - std::chrono::seconds(1));
    expect_replay(here_, Asks::kAgain);
    here_.tidy(until);
    EXPECT_EQ(here_.kept(), 0U);
    expect_nothing_left();
    expect_fresh(here_, Asks::kAgain);
}

TEST_F(Keep, WhatNobodyMayJoinIsNotKept) {
    Calls::Found found = here_.find_or_begin(kOne, Look::kEverywhere);
    OwnCall own(here_, found.call, "bal_1");
    own.begin(head());
    own.seal();
    own.append(chunk("all of it"));
    own.end_and_keep({}, {kLater, "alpha", "model-x"});
    EXPECT_EQ(here_.kept(), 0U);
    expect_nothing_left();
}

TEST_F(Keep, ADroppedOneIsReadToItsEndByThoseWhoReadIt) {
    make_kept(here_).reset();
    Calls::Found found = here_.find_or_begin(kOne, Look::kEverywhere, Asks::kAgain);
    CallReader reader(here_, found.call);
    here_.drop_kept_unless([](const KeptAnswer& kept) { return kept.model != "model-x"; });
    std::vector<Chunk> chunks;
    Got got;
    net::co_spawn(contexts_[0], read_all(reader, got), net::detached);
    run();
    EXPECT_EQ(got.bytes, "all of it");
    expect_nothing_left();
}

// Calls with little room, of one process of two workers: half of it is theirs.
class KeepLittle : public Keep {
  protected:
    static constexpr std::size_t kBytes = 1000;  // of an answer

    std::unique_ptr<Calls> calls_of(KeepLimits limits) {
        auto calls = std::make_unique<Calls>(contexts_[0], claims_, 0, Broadcast::Limits{}, limits);
        calls->meet({calls.get(), &there_});
        return calls;
    }

    static wire::Signature numbered(std::uint64_t i) { return {i, i << 20}; }

    void keep_one(Calls& calls, std::uint64_t i, std::size_t bytes = kBytes) {
        Calls::Found found = calls.find_or_begin(numbered(i), Look::kEverywhere);
        ASSERT_TRUE(found.ours);
        OwnCall own(calls, found.call);
        own.begin(head());
        own.append(calls.make_chunk(std::string(bytes, 'x')));
        own.end_and_keep({}, {kLater, "alpha", "model-x"});
    }

    bool has(Calls& calls, std::uint64_t i) {
        Calls::Found found = calls.find_or_begin(numbered(i), Look::kEverywhere, Asks::kAgain);
        if (found.ours) OwnCall give_back(calls, found.call);
        return !found.ours;
    }
};

TEST_F(KeepLittle, TheOldestGoFirstWhenBytesRunOut) {
    auto calls = calls_of({.bytes = 2 * 3500, .answers = 100});
    for (std::uint64_t i = 1; i <= 5; ++i) keep_one(*calls, i);
    EXPECT_EQ(calls->kept(), 3U);
    EXPECT_FALSE(has(*calls, 2));
    EXPECT_TRUE(has(*calls, 3));
    // One that would drive out all others for nothing.
    keep_one(*calls, 6, 4000);
    EXPECT_EQ(calls->kept(), 3U);
    EXPECT_FALSE(has(*calls, 6));
    keep_one(*calls, 7, 3000);
    EXPECT_EQ(calls->kept(), 1U);
    EXPECT_TRUE(has(*calls, 7));
    EXPECT_EQ(calls->listed(), 1U);
}

TEST_F(KeepLittle, TheOldestGoFirstWhenThereAreTooMany) {
    auto calls = calls_of({.bytes = kRoomy.bytes, .answers = 4});
    for (std::uint64_t i = 1; i <= 5; ++i) keep_one(*calls, i);
    EXPECT_EQ(calls->kept(), 2U);
    EXPECT_TRUE(has(*calls, 4));
    EXPECT_TRUE(has(*calls, 5));
    EXPECT_EQ(claims_.held(), 2U);
}

TEST_F(KeepLittle, TheyMakeRoomForWhatIsUnderWay) {
    auto calls = calls_of(kRoomy);
    for (std::uint64_t i = 1; i <= 5; ++i) keep_one(*calls, i);
    std::uint64_t all = calls->chunk_bytes();
    EXPECT_GE(all, 5 * kBytes);
    calls->make_room(all);
    EXPECT_EQ(calls->kept(), 5U);
    calls->make_room(all - 1);
    EXPECT_EQ(calls->kept(), 4U);
    EXPECT_TRUE(has(*calls, 2));
    calls->make_room(0);
    EXPECT_EQ(calls->kept(), 0U);
    EXPECT_EQ(calls->chunk_bytes(), 0U);
    EXPECT_EQ(claims_.held(), 0U);
}

}  // namespace
}  // namespace balancer::dataplane
