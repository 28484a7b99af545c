// balancerctl --manual: the page says what --help says.
#include <array>
#include <cstdio>
#include <fstream>

#include "tests/unit/cli/balancerctl_fixture.hpp"

namespace balancer::cli {
namespace {

// What a reader sees; empty when there is no groff.
std::string rendered(const std::filesystem::path& page) {
    if (std::system("command -v groff >/dev/null") != 0) return {};
    std::FILE* pipe = ::popen(("groff -man -Tascii -P-c -P-b -P-u -ww " + page.string() + " 2>&1").c_str(), "r");
    std::string text;
    std::array<char, 4096> buffer;
    while (std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), got);
    EXPECT_EQ(::pclose(pipe), 0);
    return text;
}

TEST_F(BalancerctlTest, TheManualNamesEveryCommandAndOption) {
    ASSERT_EQ(raw({"balancerctl", "--manual"}), 0) << err_;
    EXPECT_EQ(out_.find(".TH BALANCERCTL 1 "), 0U) << out_.substr(0, 80);
    for (const char* part :
         {".SH SYNOPSIS",
          ".SS providers add NAME",
          ".SS routes remove PATTERN [PROVIDER]",
          "\\-\\-key\\-stdin",
          "\\-\\-wait[=SECONDS]",
          "(environment: BALANCERCTL_SERVER)",
          "Exit codes: 0 done"}) {
        EXPECT_TRUE(says(part)) << part;
    }
    for (const char* once : {"Exit codes: 0 done", "providers drain backup \\-\\-reason"}) {
        EXPECT_EQ(out_.find(once), out_.rfind(once)) << "commands inherit the words below --help: " << once;
    }
}

TEST_F(BalancerctlTest, TheManualIsGoodRoff) {
    ASSERT_EQ(raw({"balancerctl", "--manual"}), 0) << err_;
    dir_.write("balancerctl.1", out_);
    const std::string text = rendered(dir_.path() / "balancerctl.1");
    if (text.empty()) GTEST_SKIP() << "groff is not installed";
    EXPECT_NE(text.find("providers update NAME"), std::string::npos) << text;
    EXPECT_NE(text.find("balancerctl providers drain backup --reason 'moves house' --wait=120"), std::string::npos);
    EXPECT_EQ(text.find("balancerctl.1:"), std::string::npos) << "groff's complaints name the file: " << text.substr(0, 2000);
}

}  // namespace
}  // namespace balancer::cli
