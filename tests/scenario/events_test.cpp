// What an operator sees happen, and whether anything is missing from it.
#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/scenario/balancerctl.hpp"
#include "tests/scenario/fleet.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;

class Events : public testing::Test {
  protected:
    std::string only(const std::string& name, const FakeProvider& provider) const {
        return to_yaml({{{name, provider.base_url()}}});
    }

    struct Said {
        int code = 0;
        std::string out;
        std::string err;

        std::vector<json> lines() const {
            std::vector<json> all;
            std::istringstream text(out);
            for (std::string line; std::getline(text, line);) all.push_back(json::parse(line));
            return all;
        }
    };

    // Text that one thread prints and another reads, as of the last flush.
    class Shared : public std::stringbuf {
      public:
        bool holds(const std::string& text) const {
            std::lock_guard lock(mutex_);
            return flushed_.find(text) != std::string::npos;
        }

      private:
        int sync() override {
            std::lock_guard lock(mutex_);
            flushed_ = str();
            return 0;
        }

        mutable std::mutex mutex_;
        std::string flushed_;
    };

    static Said ctl(const Fleet& fleet, std::vector<std::string> words) {
        Shared shared;
        return ctl(fleet, std::move(words), shared);
    }

    static Said ctl(const Fleet& fleet, std::vector<std::string> words, Shared& shared) {
        std::ostream out(&shared);
        std::ostringstream err;
        Said said;
        said.code = balancerctl(
            fleet.control_plane_addresses().grpc, fleet.control_plane_dir(), std::move(words), out, err
        );
        said.out = shared.str();
        said.err = err.str();
        return said;
    }

    FakeProvider a_;
    FakeProvider b_;
};

TEST_F(Events, TellWhatHappenedSinceTheStartInOrderWithoutSecrets) {
    Fleet fleet(only("a", a_), {1, 1});
    fleet.write_config(only("b", b_));
    ASSERT_TRUE(Fleet::eventually([&] {
        return ctl(fleet, {"events", "--type", "config_reloaded"}).out.find("config_reloaded") !=
               std::string::npos;
    }));
    Said said = ctl(fleet, {"-o", "json", "events"});
    EXPECT_EQ(said.code, 0) << said.err;
    std::vector<json> lines = said.lines();
    ASSERT_GE(lines.size(), 4U);
    EXPECT_EQ(lines[0]["event"], "started");
    EXPECT_EQ(lines[0]["id"], "1-1");
    EXPECT_EQ(lines[1]["id"], "1-2");
    EXPECT_NE(said.out.find("data_plane_connected"), std::string::npos);
    EXPECT_EQ(said.out.find("sk-test-key"), std::string::npos);

    std::string third = lines[2]["id"];
    Said rest = ctl(fleet, {"-o", "json", "events", "--since", third});
    EXPECT_EQ(rest.lines().front()["id"], "1-4");
}

TEST_F(Events, RefuseWhatIsNoIdAndNoType) {
    Fleet fleet(only("a", a_), {0, 1});
    Said bad_type = ctl(fleet, {"events", "--type", "nonsense"});
    EXPECT_EQ(bad_type.code, 1);
    EXPECT_NE(bad_type.err.find("no event 'nonsense'"), std::string::npos) << bad_type.err;
    EXPECT_EQ(ctl(fleet, {"events", "--since", "yesterday"}).code, 1);
    EXPECT_EQ(ctl(fleet, {"events", "--since", "1-99999"}).code, 1);
}

TEST_F(Events, FollowSeesDataPlanesComeAndGoAndGoesOnOverARestartWithTheGapTold) {
    Fleet fleet(only("a", a_), {0, 1});
    Said said;
    Shared shown;
    std::thread follower([&] {
        said =
            ctl(fleet,
                {"-o",
                 "json",
                 "events",
                 "--follow",
                 "--count",
                 "3",
                 "--type",
                 "data_plane_connected",
                 "--type",
                 "data_plane_disconnected"},
                shown);
    });
    fleet.add_data_plane();
    EXPECT_TRUE(Fleet::eventually([&] { return shown.holds("data_plane_connected"); }));
    fleet.stop_data_plane(0);
    EXPECT_TRUE(Fleet::eventually([&] { return shown.holds("data_plane_disconnected"); }));
    fleet.stop_control_plane();
    fleet.start_control_plane();
    fleet.restart_data_plane(0);
    follower.join();
    EXPECT_EQ(said.code, 0) << said.err;
    std::vector<json> lines = said.lines();
    ASSERT_EQ(lines.size(), 4U) << said.out;
    EXPECT_EQ(lines[0]["event"], "data_plane_connected");
    EXPECT_EQ(lines[0]["fields"]["dp_id"], "dp1");
    EXPECT_EQ(lines[1]["event"], "data_plane_disconnected");
    EXPECT_EQ(lines[2]["event"], "gap");
    EXPECT_NE(lines[2]["message"].get<std::string>().find("started anew"), std::string::npos);
    EXPECT_EQ(lines[3]["event"], "data_plane_connected");
    EXPECT_TRUE(lines[3]["id"].get<std::string>().starts_with("2-"));
    EXPECT_NE(said.err.find("waiting until it is back"), std::string::npos);
}

TEST_F(Events, OneDataPlaneIsShownInFull) {
    Fleet fleet(only("a", a_), {1, 1});
    ASSERT_TRUE(Fleet::eventually([&] {
        Said said = ctl(fleet, {"-o", "json", "dataplanes", "get", "dp1"});
        return said.code == 0 && json::parse(said.out)["in_sync"] == true;
    }));
    json shown = json::parse(ctl(fleet, {"-o", "json", "dataplanes", "get", "dp1"}).out);
    EXPECT_EQ(shown["applied_source"], "MEMORY");
    EXPECT_EQ(shown["behind_since_ms"], 0);
    EXPECT_GT(shown["acknowledged_at_ms"], 0);
    Said table = ctl(fleet, {"dataplanes", "get", "dp1"});
    for (const char* word :
         {"in sync", "from the control plane", "last refusal", "build", "ready"}) {
        EXPECT_NE(table.out.find(word), std::string::npos) << word << "\n" << table.out;
    }
    Said unknown = ctl(fleet, {"dataplanes", "get", "dp9"});
    EXPECT_EQ(unknown.code, 1);
    EXPECT_NE(unknown.err.find("there are: dp1"), std::string::npos) << unknown.err;
}

}  // namespace
}  // namespace balancer::tests
