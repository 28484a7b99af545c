// Ten thousand streams whose clients come, share and leave at random: in the end nothing is left of them.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sanitizer/allocator_interface.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

// Bytes of the heap that are in use by this process: the fleet's, its providers' and the test's.
std::size_t heap_in_use() {
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return __sanitizer_get_current_allocated_bytes();
#else
    return mallinfo2().uordblks;
#endif
}

// Clients that come, share and leave at random.
struct Soak {
    std::uint16_t port = 0;
    std::atomic<int> broken = 0;
    std::atomic<int> left = 0;

    // Some at once, which share their prompts.
    void run_batch(std::mt19937& random) {
        constexpr std::size_t kBatch = 40;
        std::vector<RawClient> clients;
        for (std::size_t i = 0; i < kBatch; ++i) {
            ClaudeCodeRequest request = streamed(fmt::format("prompt {}", random() % 3));
            request.stream = random() % 3 != 0;
            Result<RawClient> client = RawClient::connect(port);
            if (client && client->send(claude_code_request(request))) {
                clients.push_back(*std::move(client));
            } else {
                ++broken;
            }
        }
        std::shuffle(clients.begin(), clients.end(), random);
        for (RawClient& client : clients) {
            if (random() % 3 == 0) {
                if (random() % 2 == 0) client.read_byte(milliseconds(random() % 4));
                client.abort();
                ++left;
                continue;
            }
            Result<RawResponse> answer = client.read_response(std::chrono::seconds(30));
            bool whole = answer && answer->end == BodyEnd::kComplete && answer_text(*answer) == "one two three";
            if (!whole) ++broken;
        }
    }

    void run(int streams) {
        constexpr int kThreads = 4;
        const int batches = streams / kThreads / 40;
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < kThreads; ++thread) {
            threads.emplace_back([this, thread, batches] {
                std::mt19937 random(static_cast<unsigned>(thread));
                for (int i = 0; i < batches; ++i) run_batch(random);
            });
        }
    }
};

TEST(CoalesceSoak, TenThousandStreamsLeaveNothingBehind) {
    Step step = saying("one two three");
    step.message.event_gap = milliseconds(2);
    FakeProvider provider(script_of({step}));
    Fleet fleet(to_yaml(
        {{{"only", provider.base_url()}},
         {},
         "  unhealthy_threshold: 1000\n  deduplication: {sse_error_cleanup_delay: 0}\n"}
    ));
    Soak soak{fleet.port()};
    auto measure = [&] {
        EXPECT_TRUE(Fleet::eventually([&] {
            Metrics metrics = read_metrics(fleet);
            double left = 0;
            for (const char* name :
                 {"requests_in_flight", "coalesced_requests", "calls", "call_memory_bytes", "body_memory_bytes"}) {
                left += *metrics.sum(std::string("balancer_dp_") + name);
            }
            return left == 0;
        }));
        EXPECT_LT(provider.request_count(), 7000u);
        provider.clear_requests();
        return heap_in_use();
    };
    // Pools have their size by then, and so have the rings of requests that are remembered, all but that of those who left.
    soak.run(14'000);
    std::size_t before = measure();
    soak.left = 0;
    soak.run(10'080);
    std::size_t after = measure();
    EXPECT_EQ(soak.broken, 0);
    EXPECT_GT(soak.left, 3000);
    EXPECT_LT(after, before + (4U << 20));
    EXPECT_EQ(read_metrics(fleet).sum("balancer_dp_attempts_in_flight"), 0);
}

}  // namespace
}  // namespace balancer::tests
