// A provider's key from the command line: it reaches that provider, and nothing else anywhere.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/file.hpp"
#include "tests/scenario/balancerctl.hpp"
#include "tests/scenario/fleet.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

constexpr const char* kCanary = "cnry-5f1d0b7e9a";
constexpr const char* kSecondCanary = "cnry-second-77c1";

class Custody : public testing::Test {
  protected:
    int ctl(std::vector<std::string> words, const std::string& input = {}) {
        std::ostringstream out;
        std::ostringstream err;
        int code = balancerctl(
            fleet_.control_plane_addresses().grpc, fleet_.control_plane_dir(), std::move(words), out, err, input
        );
        said_ = out.str() + err.str();
        EXPECT_EQ(said_.find("cnry-"), std::string::npos) << said_;
        return code;
    }

    // The names of the files that hold it.
    std::string found_in_files(const std::string& text) const {
        std::string found;
        for (const auto& file : std::filesystem::recursive_directory_iterator(fleet_.folder())) {
            if (!file.is_regular_file()) continue;
            Result<std::string> content = read_file(file.path());
            if (content && content->find(text) != std::string::npos) found += file.path().string() + " ";
        }
        return found;
    }

    void expect_nowhere() {
        EXPECT_EQ(found_in_files("cnry-"), "");
        for (std::vector<std::string> words : std::vector<std::vector<std::string>>{
                 {"status"},
                 {"config", "show"},
                 {"-o", "json", "config", "show"},
                 {"config", "show", "--revision", "2"},
                 {"config", "history"},
                 {"config", "diff"},
                 {"config", "diff", "1", "2"},
                 {"providers", "list"},
                 {"-o", "json", "providers", "get", "sealed"},
                 {"dataplanes", "list"},
                 {"events"},
                 {"-o", "json", "events"},
                 {"keys", "list"},
             }) {
            EXPECT_NE(ctl(words), 2) << said_;  // looks at what it says
        }
        for (std::uint16_t port : {fleet_.admin_port(), fleet_.control_plane_http_port()}) {
            EXPECT_EQ(fleet_.get_at(port, "/metrics").body.find("cnry-"), std::string::npos);
        }
        EXPECT_EQ(fleet_.get("/providers").body.find("cnry-"), std::string::npos);
    }

    FakeProvider plain_;
    FakeProvider sealed_;
    Fleet fleet_{to_yaml({{{"plain", plain_.base_url()}}, {}, {}, "DEBUG"}), FleetOptions{1, 1}};
    std::string said_;
};

TEST_F(Custody, AKeyFromStandardInputReachesItsProviderAndNothingElse) {
    ASSERT_EQ(
        ctl({"providers", "add", "sealed", "--type", "anthropic", "--base-url", sealed_.base_url(), "--auth-type",
             "api_key", "--key-stdin", "--route", "*", "--priority", "0", "--wait"},
            std::string(kCanary) + "\n"),
        0
    ) << said_;
    EXPECT_EQ(fleet_.ask(unstreamed()).status, 200);
    ASSERT_EQ(sealed_.requests().size(), 1u);
    EXPECT_EQ(sealed_.requests().front().header("x-api-key"), kCanary);
    expect_nowhere();

    // A refusing provider repeats the key; another key, a new sealing key, and what is written to the file change
    // nothing.
    Step refusing;
    refusing.status = 401;
    refusing.error = ErrorSpec{"authentication_error", std::string("invalid x-api-key ") + kCanary};
    sealed_.set_script(script_of({refusing}));
    fleet_.ask(unstreamed("Once more."));
    ASSERT_EQ(ctl({"providers", "test", "sealed", "--model", "claude-haiku-4-5"}), 1) << said_;
    ASSERT_EQ(ctl({"providers", "update", "sealed", "--key-stdin", "--wait"}, kSecondCanary), 0) << said_;
    ASSERT_EQ(ctl({"keys", "rotate"}), 0) << said_;
    ASSERT_EQ(ctl({"config", "save"}), 0) << said_;
    expect_nowhere();
    EXPECT_NE(found_in_files("sealed:sealed."), "") << "the reference is in the file";

    // After a restart the same key is sent.
    sealed_.set_script(script_of({Step{}}));
    fleet_.stop_control_plane();
    fleet_.start_control_plane();
    ASSERT_TRUE(Fleet::eventually([&] {
        return ctl({"status"}) == 0 && said_.find("1 connected, 1 in sync") != std::string::npos;
    })) << said_;
    ASSERT_TRUE(Fleet::eventually([&] {
        std::size_t before = sealed_.requests().size();
        // A session of its own: the one that was refused stays with who has served it since.
        fleet_.ask(in_session("after-a-restart"));
        return sealed_.requests().size() > before && sealed_.requests().back().header("x-api-key") == kSecondCanary;
    }));
    expect_nowhere();
}

}  // namespace
}  // namespace balancer::tests
