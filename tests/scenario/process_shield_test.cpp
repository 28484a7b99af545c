// The programs keep their memory to themselves: no core file, no debugger of the same user.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/file.hpp"
#include "tests/scenario/fleet.hpp"
#include "tests/support/child_process.hpp"

namespace balancer::tests {
namespace {

constexpr uid_t kNobody = 65534;

// As somebody who is not root, whose processes are his own in /proc, unless they are shielded.
class Shield : public testing::Test {
  protected:
    Shield() {
        std::string pattern = (std::filesystem::temp_directory_path() / "balancer-shield-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        std::ofstream(folder_ / "token") << "a-token\n";
        std::ofstream(folder_ / "config.yaml") << to_yaml({{{"a", "http://127.0.0.1:1"}}});
        std::filesystem::create_directory(folder_ / "state");
        std::filesystem::permissions(folder_ / "token", std::filesystem::perms::owner_read);
        if (::geteuid() != 0) return;
        user_ = kNobody;
        for (const char* name : {"", "token", "config.yaml", "state"}) {
            EXPECT_EQ(::chown((folder_ / name).c_str(), kNobody, kNobody), 0);
        }
    }
    ~Shield() override {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    void start(const std::string& program, std::vector<std::string> arguments) {
        arguments.insert(arguments.end(), {"--state-dir", (folder_ / "state").string()});
        std::string path = program;
        if (::geteuid() == 0) {
            arguments.insert(
                arguments.begin(), {"--reuid=65534", "--regid=65534", "--clear-groups", "--", program}
            );
            path = "/usr/bin/setpriv";
        }
        std::filesystem::remove(folder_ / "state" / "addresses.json");
        child_ = std::make_unique<ChildProcess>(path, arguments, folder_ / "output");
        ASSERT_TRUE(Fleet::eventually([&] {
            return std::filesystem::exists(folder_ / "state" / "addresses.json");
        })) << *read_file(folder_ / "output");
    }

    void start_control_plane(std::vector<std::string> more = {}) {
        std::vector<std::string> arguments = {
            "--config", (folder_ / "config.yaml").string(), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        start(BALANCER_CONTROL_PLANE_PROGRAM, std::move(arguments));
    }

    void start_data_plane(std::vector<std::string> more = {}) {
        std::vector<std::string> arguments = {
            "--control-plane", "127.0.0.1:1", "--token-file", (folder_ / "token").string(), "--listen", "127.0.0.1:0",
            "--admin",         "127.0.0.1:0", "--workers",    "1"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        start(BALANCER_DATA_PLANE_PROGRAM, std::move(arguments));
    }

    // Who owns its memory there: proc(5) gives what is not dumpable to root.
    uid_t owner_of_memory() const {
        struct stat status {};
        EXPECT_EQ(::stat(("/proc/" + std::to_string(child_->pid()) + "/mem").c_str(), &status), 0);
        return status.st_uid;
    }

    std::string core_limit() const {
        std::ifstream limits("/proc/" + std::to_string(child_->pid()) + "/limits");
        std::string line;
        while (std::getline(limits, line)) {
            if (line.starts_with("Max core file size")) return line;
        }
        return {};
    }

    std::filesystem::path folder_;
    uid_t user_ = ::geteuid();
    std::unique_ptr<ChildProcess> child_;
};

TEST_F(Shield, TheControlPlanesMemoryIsItsOwn) {
    start_control_plane();
    EXPECT_EQ(owner_of_memory(), 0u);
    EXPECT_NE(core_limit().find(" 0  "), std::string::npos) << core_limit();
}

TEST_F(Shield, TheDataPlanesMemoryIsItsOwn) {
    start_data_plane();
    EXPECT_EQ(owner_of_memory(), 0u);
    EXPECT_NE(core_limit().find(" 0  "), std::string::npos) << core_limit();
}

TEST_F(Shield, AFlagOpensItForADebugger) {
    start_control_plane({"--debuggable"});
    EXPECT_EQ(owner_of_memory(), user_);
    start_data_plane({"--debuggable"});
    EXPECT_EQ(owner_of_memory(), user_);
}

}  // namespace
}  // namespace balancer::tests
