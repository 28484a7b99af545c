#include "base/log.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/file.hpp"

namespace balancer {
namespace {

TEST(JsonString, IsAlwaysValidJson) {
    for (std::string text : {
             std::string("plain"), std::string("quote \" backslash \\ newline \n tab \t bell \a nul \0 end", 46),
             std::string("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), std::string("\xff\xfe broken \xc3"),
             std::string("\xed\xa0\x80 surrogate \xc0\x80 overlong \xf5\x80\x80\x80"),
         }) {
        std::string json;
        append_json_string(json, text);
        EXPECT_TRUE(nlohmann::json::accept(json)) << json;
    }
    std::string json;
    append_json_string(json, "\xc3\xa9\n");
    EXPECT_EQ(json, "\"\xc3\xa9\\n\"");
}

TEST(Log, EveryEventHasAName) {
    std::set<std::string_view> names;
    for (int i = 0; i <= static_cast<int>(LogEvent::kBody); ++i) {
        names.insert(name_of(static_cast<LogEvent>(i)));
    }
    EXPECT_EQ(names.size(), static_cast<std::size_t>(LogEvent::kBody) + 1);
    EXPECT_EQ(name_of(LogEvent::kBody), "body");
    EXPECT_EQ(name_of(LogEvent::kConfigReloaded), "config_reloaded");
}

TEST(Log, EveryEventIsFoundByItsName) {
    for (int i = 0; i <= static_cast<int>(LogEvent::kBody); ++i) {
        LogEvent event = static_cast<LogEvent>(i);
        EXPECT_EQ(event_named(name_of(event)), event);
    }
    EXPECT_FALSE(event_named("nonsense"));
    EXPECT_FALSE(event_named(""));
}

TEST(Log, TheTapHearsInfoAndAboveRedactedWhateverTheLevelOfTheLog) {
    Log log("test");
    log.set_level(LogLevel::kError);
    std::vector<LogRecord> heard;
    log.set_tap([&](const LogRecord& record) { heard.push_back(record); });
    log.emit(LogLevel::kDebug, LogEvent::kNotice, "too low");
    log.emit(
        LogLevel::kInfo,
        LogEvent::kAdminCall,
        "with sk-ant-0123456789abcdef",
        {{"words", "Bearer 0123456789abcdef"}, {"number", 7}, {"flag", true}}
    );
    log.set_tap({});
    log.emit(LogLevel::kInfo, LogEvent::kNotice, "nobody listens");
    ASSERT_EQ(heard.size(), 1U);
    EXPECT_EQ(heard[0].event, LogEvent::kAdminCall);
    EXPECT_EQ(heard[0].message.find("0123456789"), std::string::npos);
    ASSERT_EQ(heard[0].fields.size(), 3U);
    EXPECT_EQ(heard[0].fields[0].second.find("0123456789"), std::string::npos);
    EXPECT_EQ(heard[0].fields[1].second, "7");
    EXPECT_EQ(heard[0].fields[2].second, "true");
    EXPECT_GT(heard[0].at, 0);
}

TEST(Log, WritesOneJsonObjectALineWithoutSecrets) {
    std::string pattern = (std::filesystem::temp_directory_path() / "balancer-log-XXXXXX").string();
    std::filesystem::path folder = ::mkdtemp(pattern.data());
    {
        Log log("test");
        ASSERT_TRUE(log.set_file((folder / "new" / "log.jsonl").string()));
        log.emit(LogLevel::kDebug, LogEvent::kNotice, "below the level");
        log.emit(
            LogLevel::kWarning,
            LogEvent::kProviderFailure,
            "x-api-key: CANARY\nsecond line",
            {{"text", "Bearer CANARY"}, {"number", 7}, {"real", 0.5}, {"flag", true}}
        );
    }
    std::istringstream lines(*read_file(folder / "new" / "log.jsonl"));
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json["event"], "provider_failure");
    EXPECT_EQ(json["level"], "warning");
    EXPECT_EQ(json["number"], 7);
    EXPECT_EQ(json["flag"], true);
    EXPECT_EQ(line.find("CANARY"), std::string::npos);
    EXPECT_FALSE(std::getline(lines, line));
    std::filesystem::remove_all(folder);
}

TEST(Log, AFileThatCannotBeOpenedIsAnErrorAndTheOldOneStays) {
    Log log("test");
    EXPECT_FALSE(log.set_file("/proc/nowhere/log.jsonl"));
}

}  // namespace
}  // namespace balancer
