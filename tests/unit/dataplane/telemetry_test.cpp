// Access records and the exposition.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.hpp"
#include "dataplane/telemetry/access_log.hpp"
#include "dataplane/telemetry/exposition.hpp"

namespace balancer::dataplane {
namespace {

TEST(AccessLog, WritesOneJsonObjectForEachRecord) {
    std::string pattern = (std::filesystem::temp_directory_path() / "balancer-access-XXXXXX").string();
    std::filesystem::path folder = ::mkdtemp(pattern.data());
    AccessRecord record;
    record.request_id = "bal_1";
    record.at = 1'700'000'000'123;
    record.model = "quote \" and \xff";
    record.outcome = Outcome::kNoHealthyUpstream;
    record.status = 503;
    record.failed_attempts = {{"alpha", FailureClass::kTls, 0, "why"}};
    {
        AccessLog log;
        log.append(record);  // not open: nothing
        ASSERT_TRUE(log.open((folder / "sub" / "log").string()));
        log.append(record);
        log.append(record);
    }
    std::istringstream lines(*read_file(folder / "sub" / "log"));
    std::string line;
    int count = 0;
    while (std::getline(lines, line)) {
        auto json = nlohmann::json::parse(line);
        EXPECT_EQ(json["timestamp"], "2023-11-14T22:13:20.123Z");
        EXPECT_EQ(json["outcome"], "no_healthy_upstream");
        EXPECT_EQ(json["failed_attempts"][0]["failure"], "tls");
        EXPECT_FALSE(json.contains("first_byte_ms"));
        ++count;
    }
    EXPECT_EQ(count, 2);
    std::filesystem::remove_all(folder);
    AccessLog nowhere;
    EXPECT_FALSE(nowhere.open("/proc/nowhere/log"));
    nowhere.append(record);
}

TEST(Exposition, SumsWorkersAndItsBucketsAreCumulative) {
    WorkerMetrics one;
    WorkerMetrics two;
    ProviderSlot slot(1);
    one.provider(slot).attempts[0].add(2);
    two.provider(slot).attempts[0].add(3);
    two.provider(slot).attempts[static_cast<std::size_t>(FailureClass::kTls)].add();
    for (std::uint64_t ms : {1, 7, 7, 100'000'000}) one.provider(slot).first_byte.observe(ms);
    std::vector<const WorkerMetrics*> workers = {&one, &two};
    std::vector<std::string> names = {"unused", "al\"pha"};
    std::string text = expose(Exposition{workers, names, {}, "dp", true, steady_now()});
    EXPECT_NE(text.find(R"(balancer_dp_attempts_total{provider="al\"pha",failure="none"} 5)"), std::string::npos);
    EXPECT_NE(text.find(R"(balancer_dp_attempts_total{provider="al\"pha",failure="tls"} 1)"), std::string::npos);
    EXPECT_NE(text.find(R"(first_byte_seconds_bucket{provider="al\"pha",le="0.005"} 1)"), std::string::npos);
    EXPECT_NE(text.find(R"(first_byte_seconds_bucket{provider="al\"pha",le="0.01"} 3)"), std::string::npos);
    EXPECT_NE(text.find(R"(first_byte_seconds_bucket{provider="al\"pha",le="+Inf"} 4)"), std::string::npos);
    EXPECT_NE(text.find("balancer_dp_ready 1"), std::string::npos);
}

}  // namespace
}  // namespace balancer::dataplane
