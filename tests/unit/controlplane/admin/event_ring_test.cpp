#include "controlplane/service/event_ring.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace balancer::controlplane {
namespace {

using Types = std::set<std::string, std::less<>>;

LogRecord record(const std::string& message, LogEvent event = LogEvent::kNotice) {
    return {1'000, LogLevel::kInfo, event, message, {{"name", "value"}}};
}

class EventRingTest : public testing::Test {
  protected:
    void append(int from, int to) {
        for (int i = from; i <= to; ++i) ring_.append(record(std::to_string(i)));
    }

    // "1 2 3", with "gap N" where something is missing.
    std::string read(EventRing::Place& place, const Types& types = {}) {
        std::string all;
        while (auto next = ring_.next(place, types)) {
            if (!all.empty()) all += ' ';
            all += next->has_gap() ? "gap " + std::to_string(next->gap().dropped())
                                   : next->event().message();
        }
        return all;
    }

    std::string read_since(const std::string& id) {
        Result<EventRing::Place> place = ring_.place(id);
        return place ? read(*place) : place.error().text();
    }

    EventRing ring_{7, 5};
};

TEST_F(EventRingTest, GivesEachEventOnceInOrderUnderAGrowingId) {
    append(1, 3);
    EventRing::Place place = *ring_.place("");
    EXPECT_EQ(read(place), "1 2 3");
    EXPECT_EQ(read(place), "");
    append(4, 4);
    EXPECT_EQ(ring_.next(place, {})->event().id(), "7-4");
    EXPECT_EQ(read_since("7-2"), "3 4");
    EXPECT_EQ(read_since("7-4"), "");
}

TEST_F(EventRingTest, TellsHowManyWereForgotten) {
    EventRing::Place slow = *ring_.place("");
    append(1, 17);
    EXPECT_EQ(read(slow), "gap 12 13 14 15 16 17");
    EXPECT_EQ(read_since("7-3"), "gap 9 13 14 15 16 17");
    EXPECT_EQ(read_since("7-12"), "13 14 15 16 17") << "nothing is missing between the two";
    EXPECT_EQ(read_since(""), "13 14 15 16 17") << "who asks for nothing misses nothing";
    EventRing::Place place = *ring_.place("7-11");
    EXPECT_EQ(ring_.next(place, {})->gap().detail().substr(0, 19), "1 event was dropped");
}

TEST_F(EventRingTest, AnIdOfAnEarlierStartBeginsAnewAndSaysSo) {
    append(1, 2);
    Result<EventRing::Place> place = ring_.place("6-400");
    ASSERT_TRUE(place);
    EXPECT_NE(ring_.next(*place, {})->gap().detail().find("epoch 6, now 7"), std::string::npos);
    EXPECT_EQ(read(*place), "1 2");
}

TEST_F(EventRingTest, RefusesIdsThatWereNeverGivenOut) {
    append(1, 2);
    for (const char* id : {"7-3", "8-1", "7", "x-1", "7-", "-1", "7-1x", " 7-1"}) {
        EXPECT_FALSE(ring_.place(id)) << id;
    }
}

TEST_F(EventRingTest, LeavesOutOtherTypesButNotTheGap) {
    ring_.append(record("a", LogEvent::kAdminCall));
    ring_.append(record("b", LogEvent::kNotice));
    ring_.append(record("c", LogEvent::kAdminCall));
    EventRing::Place place = *ring_.place("");
    EXPECT_EQ(read(place, {"admin_call"}), "a c");
    append(4, 10);
    EXPECT_EQ(read(place, {"admin_call"}), "gap 2");
}

TEST_F(EventRingTest, CutsWhatIsLongAndWhatIsNoText) {
    ring_.append(record(std::string(100'000, 'x')));
    ring_.append(record("\xff\xfe broken"));
    EventRing::Place place = *ring_.place("");
    EXPECT_LT(ring_.next(place, {})->ByteSizeLong(), 3'000U);
    v1::WatchEventsResponse broken = *ring_.next(place, {});
    EXPECT_EQ(broken.event().message(), "?? broken");
    // Long, and good text in any language.
    std::string words = "x";
    while (words.size() < 5'000) words += "\xe2\x82\xac";
    ring_.append(record(words));
    std::string cut = ring_.next(place, {})->event().message();
    EXPECT_GT(cut.size(), 2'000U);
    EXPECT_EQ(cut.substr(0, 7), words.substr(0, 7));
    EXPECT_EQ(cut.find('?'), std::string::npos);
    v1::WatchEventsResponse parsed;
    EXPECT_TRUE(parsed.ParseFromString(broken.SerializeAsString()));
}

TEST_F(EventRingTest, TellsOfNewsOnceUntilItIsSeen) {
    int told = 0;
    ring_.on_news([&] { ++told; });
    append(1, 3);
    EXPECT_EQ(told, 1);
    ring_.news_seen();
    append(4, 5);
    EXPECT_EQ(told, 2);
    ring_.on_news({});
    ring_.news_seen();
    append(6, 6);
    EXPECT_EQ(told, 2);
}

TEST_F(EventRingTest, LosesNothingBetweenThreads) {
    EventRing ring(1, 100'000);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int k = 0; k < 1'000; ++k) ring.append(record("x"));
        });
    }
    for (std::thread& thread : threads) thread.join();
    EventRing::Place place = *ring.place("");
    std::uint64_t number = 0;
    while (auto next = ring.next(place, {})) {
        EXPECT_EQ(next->event().id(), "1-" + std::to_string(++number));
    }
    EXPECT_EQ(number, 4'000U);
}

}  // namespace
}  // namespace balancer::controlplane
