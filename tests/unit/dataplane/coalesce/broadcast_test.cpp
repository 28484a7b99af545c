#include "dataplane/coalesce/broadcast.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace balancer::dataplane {
namespace {

using Take = Broadcast::Take;

constexpr std::size_t kPlenty = 1U << 20;

Chunk chunk(std::string bytes) { return std::make_shared<const std::string>(std::move(bytes)); }

std::shared_ptr<const AnswerHead> head() {
    wire::ResponseHead head;
    head.status = 200;
    return std::make_shared<const AnswerHead>(head, "alpha");
}

struct Client {
    explicit Client(Broadcast& from) : reader(from, [this] { ++news; }) {}

    // Everything that is there.
    Take take(std::size_t bytes_max = kPlenty) {
        std::vector<Chunk> chunks;
        Take last = Take::kChunks;
        while ((last = reader.take(chunks, bytes_max)) == Take::kChunks) {
            for (const Chunk& one : chunks) got += *one;
        }
        return last;
    }

    int news = 0;
    std::string got;
    Broadcast::Reader reader;
};

TEST(Broadcast, WhoComesLateGetsEverythingFromTheStart) {
    Broadcast answer;
    Client early(answer);
    answer.begin(head());
    answer.append(chunk("one "));
    EXPECT_EQ(early.take(), Take::kWait);
    answer.append(chunk("two "));
    Client late(answer);
    EXPECT_EQ(late.take(), Take::kWait);
    EXPECT_EQ(late.got, "one two ");
    answer.append(chunk("three"));
    answer.end(std::make_shared<const AnswerEnd>());
    Client after(answer);
    for (Client* client : {&early, &late, &after}) {
        EXPECT_EQ(client->take(), Take::kEnd);
        EXPECT_EQ(client->got, "one two three");
        ASSERT_NE(client->reader.end(), nullptr);
        EXPECT_EQ(client->reader.end()->kind, AnswerEnd::Kind::kWhole);
        EXPECT_EQ(client->reader.head()->provider(), "alpha");
    }
}

TEST(Broadcast, SealedItKeepsOnlyWhatItsReadersLack) {
    Broadcast answer;
    Client fast(answer);
    Client slow(answer);
    answer.begin(head());
    answer.append(chunk("one "));
    EXPECT_EQ(fast.take(), Take::kWait);
    answer.seal();
    EXPECT_FALSE(answer.joinable());
    EXPECT_EQ(answer.bytes_kept(), 4U);
    answer.append(chunk("two"));
    EXPECT_EQ(fast.take(), Take::kWait);
    EXPECT_EQ(slow.take(), Take::kWait);
    EXPECT_EQ(slow.got, "one two");
    EXPECT_EQ(fast.got, "one two");
    EXPECT_EQ(answer.bytes_kept(), 0U);
}

TEST(Broadcast, ReadersShareTheChunks) {
    Broadcast answer;
    answer.begin(head());
    Chunk sent = chunk("bytes");
    answer.append(sent);
    Client one(answer);
    Client two(answer);
    std::vector<Chunk> first;
    std::vector<Chunk> second;
    ASSERT_EQ(one.reader.take(first, kPlenty), Take::kChunks);
    ASSERT_EQ(two.reader.take(second, kPlenty), Take::kChunks);
    EXPECT_EQ(first.front().get(), sent.get());
    EXPECT_EQ(second.front().get(), sent.get());
}

TEST(Broadcast, NewsComeOnceToThoseWhoWait) {
    Broadcast answer;
    Client client(answer);
    answer.begin(head());
    answer.append(chunk("a"));
    answer.append(chunk("b"));
    EXPECT_EQ(client.news, 1);
    EXPECT_EQ(client.take(), Take::kWait);
    answer.append(chunk("c"));
    EXPECT_EQ(client.news, 2);
    answer.end(std::make_shared<const AnswerEnd>());
    EXPECT_EQ(client.news, 2);
    EXPECT_EQ(client.take(), Take::kEnd);
}

TEST(Broadcast, ABatchHasItsBoundAndAtLeastOneChunk) {
    Broadcast answer;
    answer.begin(head());
    for (int i = 0; i < 4; ++i) answer.append(chunk("12345"));
    Client client(answer);
    std::vector<Chunk> batch;
    EXPECT_EQ(client.reader.take(batch, 12), Take::kChunks);
    EXPECT_EQ(batch.size(), 2U);
    EXPECT_EQ(client.reader.behind(), 10U);
    EXPECT_EQ(client.reader.take(batch, 1), Take::kChunks);
    EXPECT_EQ(batch.size(), 1U);
}

TEST(Broadcast, AFailureReachesAllBehindWhatThereIs) {
    Broadcast answer;
    answer.begin(head());
    answer.append(chunk("half"));
    Client one(answer);
    Client two(answer);
    auto how = std::make_shared<AnswerEnd>();
    how->kind = AnswerEnd::Kind::kFailed;
    how->error.message = "lost";
    answer.end(how);
    for (Client* client : {&one, &two}) {
        EXPECT_EQ(client->take(), Take::kEnd);
        EXPECT_EQ(client->got, "half");
        EXPECT_EQ(client->reader.end()->error.message, "lost");
    }
}

TEST(Broadcast, WhoFallsTooFarBehindIsCutAndKeepsNoMemory) {
    Broadcast answer({.backlog_max = 100, .kept_max = 50});
    answer.begin(head());
    Client slow(answer);
    Client quick(answer);
    for (int i = 0; i < 10; ++i) {
        answer.append(chunk(std::string(10, 'x')));
        EXPECT_EQ(quick.take(), Take::kWait);
    }
    EXPECT_EQ(slow.reader.behind(), 100U);
    EXPECT_FALSE(answer.joinable());
    EXPECT_EQ(answer.bytes_kept(), 100U);
    answer.append(chunk("y"));
    EXPECT_EQ(slow.take(), Take::kCut);
    EXPECT_EQ(slow.got, "");
    EXPECT_EQ(quick.take(), Take::kWait);
    EXPECT_EQ(answer.bytes_kept(), 0U);
    EXPECT_EQ(answer.bytes(), 101U);
    answer.append(chunk("z"));
    EXPECT_EQ(quick.take(), Take::kWait);
    EXPECT_EQ(quick.got, std::string(100, 'x') + "yz");
}

TEST(Broadcast, TheLongerAnswerKeepsOnlyWhatItsSlowestReaderLacks) {
    Broadcast answer({.backlog_max = 1000, .kept_max = 50});
    answer.begin(head());
    auto slow = std::make_unique<Client>(answer);
    Client quick(answer);
    std::vector<Chunk> batch;
    for (int i = 0; i < 20; ++i) {
        answer.append(chunk(std::string(10, 'x')));
        EXPECT_EQ(quick.take(), Take::kWait);
        if (i >= 10) {
            EXPECT_EQ(slow->reader.take(batch, 1), Take::kChunks);
        }
    }
    EXPECT_EQ(answer.bytes_kept(), 100U);
    slow.reset();
    EXPECT_EQ(answer.bytes_kept(), 0U);
}

// Not when a reader takes something: whoever has found it joinable joins it before more is appended.
TEST(Broadcast, OnlyMoreBytesEndJoining) {
    Broadcast answer({.backlog_max = 1000, .kept_max = 10});
    answer.begin(head());
    Client client(answer);
    answer.append(chunk("0123456789"));
    EXPECT_TRUE(answer.joinable());
    EXPECT_EQ(client.take(), Take::kWait);
    EXPECT_TRUE(answer.joinable());
    answer.append(chunk("!"));
    EXPECT_FALSE(answer.joinable());
    EXPECT_EQ(client.take(), Take::kWait);
    EXPECT_FALSE(answer.joinable());
    EXPECT_EQ(answer.bytes_kept(), 0U);
}

TEST(AnswerHead, KeepsItsFieldsWhenTheirBytesAreGone) {
    std::shared_ptr<const AnswerHead> kept;
    {
        std::string name = "request-id";
        std::string value = "req_" + std::string(100, '1');
        wire::ResponseHead head;
        head.status = 201;
        head.fields = {{name, value}, {"a", "b"}};
        kept = std::make_shared<const AnswerHead>(head, "alpha");
        value.assign(value.size(), '-');
    }
    EXPECT_EQ(kept->head().status, 201U);
    EXPECT_EQ(wire::find_field(kept->head().fields, "request-id"), "req_" + std::string(100, '1'));
    EXPECT_EQ(wire::find_field(kept->head().fields, "a"), "b");
}

// Readers that come, read in pieces and leave at random: whoever stays gets the same bytes, and nothing is left behind.
TEST(Broadcast, AnyScheduleGivesEachReaderAllBytesInOrder) {
    for (unsigned seed = 0; seed < 200; ++seed) {
        std::mt19937 random(seed);
        Broadcast answer({.backlog_max = 1U << 20, .kept_max = random() % 400});
        answer.begin(head());
        std::string all;
        std::vector<std::unique_ptr<Client>> clients;
        for (int step = 0; step < 120; ++step) {
            switch (random() % 5) {
                case 0:
                    if (answer.joinable()) clients.push_back(std::make_unique<Client>(answer));
                    break;
                case 1:
                    if (!clients.empty() && random() % 4 == 0) clients.erase(clients.begin() + random() % clients.size());
                    break;
                case 2: {
                    std::string piece(1 + random() % 20, static_cast<char>('a' + step % 26));
                    all += piece;
                    answer.append(chunk(piece));
                    break;
                }
                default:
                    if (clients.empty()) break;
                    Client& client = *clients[random() % clients.size()];
                    std::vector<Chunk> batch;
                    client.reader.take(batch, random() % 64);
                    for (const Chunk& one : batch) client.got += *one;
            }
        }
        answer.end(std::make_shared<const AnswerEnd>());
        for (const auto& client : clients) {
            EXPECT_EQ(client->take(1 + random() % 64), Take::kEnd);
            EXPECT_EQ(client->got, all) << "seed " << seed;
        }
        bool was_joinable = answer.joinable();
        clients.clear();
        if (!was_joinable) {
            EXPECT_EQ(answer.bytes_kept(), 0U);
        }
    }
}

}  // namespace
}  // namespace balancer::dataplane
