#include "dataplane/telemetry/request_ring.hpp"

#include <gtest/gtest.h>

#include <string>

namespace balancer::dataplane {
namespace {

void add(RequestRing& ring, const std::string& id, UnixMs at, Outcome outcome = Outcome::kOk, std::size_t bytes = 0) {
    ring.add([&](RequestRecord& record) {
        record = {};
        record.request_id = id;
        record.at = at;
        record.outcome = outcome;
        record.upstream_request_id = "req_of_" + id;
        record.error.assign(bytes, 'x');
    });
}

RequestsFound find(const RequestRing& ring, const std::string& id) {
    RequestsFound found;
    ring.find(id, found);
    return found;
}

TEST(RequestRing, FindsByOurIdAndByTheProviders) {
    RequestRing ring(0);
    add(ring, "one", 10);
    add(ring, "two", 20);
    ASSERT_EQ(find(ring, "one").records.size(), 1U);
    ASSERT_EQ(find(ring, "req_of_two").records.size(), 1U);
    EXPECT_EQ(find(ring, "req_of_two").records[0].request_id, "two");
    EXPECT_TRUE(find(ring, "three").records.empty());
}

TEST(RequestRing, SuccessesDoNotPushOutFailures) {
    RequestRing ring(5, 3);
    add(ring, "bad", 10, Outcome::kNoHealthyUpstream);
    for (int i = 0; i < 100; ++i) add(ring, "good-" + std::to_string(i), 20 + i);
    RequestsFound found = find(ring, "bad");
    EXPECT_EQ(found.records.size(), 1U);
    EXPECT_EQ(found.troubled_since, 5);
    // The last three are there; the one before came at 116.
    EXPECT_EQ(found.plain_since, 117);
    EXPECT_TRUE(find(ring, "good-96").records.empty());
    EXPECT_EQ(find(ring, "good-97").records.size(), 1U);
}

TEST(RequestRing, ForgetsTheOldestWhenThereAreTooManyBytes) {
    RequestRing ring(0, 1'000, 20'000);
    for (int i = 0; i < 50; ++i) add(ring, std::to_string(i), 100 + i, Outcome::kOk, 4'000);
    EXPECT_TRUE(find(ring, "40").records.empty());
    EXPECT_EQ(find(ring, "49").records.size(), 1U);
    // One that alone is too large is kept all the same, until the next comes.
    add(ring, "huge", 200, Outcome::kOk, 100'000);
    EXPECT_EQ(find(ring, "huge").records.size(), 1U);
    EXPECT_TRUE(find(ring, "49").records.empty());
    add(ring, "small", 201);
    EXPECT_TRUE(find(ring, "huge").records.empty());
}

TEST(RequestRing, AFailedAttemptIsTroubleHoweverItEnded) {
    RequestRecord record;
    record.outcome = Outcome::kOk;
    record.candidates.resize(2);
    record.candidates[1].fate = CandidateFate::kAnswered;
    EXPECT_FALSE(record.troubled());
    record.candidates[0].fate = CandidateFate::kFailed;
    EXPECT_TRUE(record.troubled());
    // A client that sends nonsense all day is not.
    record.candidates.clear();
    record.outcome = Outcome::kBadRequest;
    EXPECT_FALSE(record.troubled());
}

// A route whose first provider does not count would fill the ring with what is no trouble to anybody.
TEST(RequestRing, AProviderThatDoesNotCountIsNoTrouble) {
    RequestRecord record;
    record.counts_tokens = true;
    record.candidates.resize(1);
    record.candidates[0].fate = CandidateFate::kFailed;
    for (Outcome outcome : {Outcome::kLocal, Outcome::kOk}) {
        record.outcome = outcome;
        EXPECT_FALSE(record.troubled());
    }
    record.outcome = Outcome::kNoHealthyUpstream;
    EXPECT_TRUE(record.troubled());
}

TEST(AssignCut, EndsBetweenCharacters) {
    std::string text;
    assign_cut(text, "a\xe2\x82\xac\xe2\x82\xac", 5);
    EXPECT_EQ(text, "a\xe2\x82\xac");
}

}  // namespace
}  // namespace balancer::dataplane
