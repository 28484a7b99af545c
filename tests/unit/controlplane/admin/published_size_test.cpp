// Whether what is published fits into a message.
#include "controlplane/publish/published_size.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/test_ca.hpp"
#include "tests/unit/controlplane/admin/control_plane_fixture.hpp"

namespace balancer::controlplane {
namespace {

v1::ConfigSection with_accounts(unsigned count, std::size_t ca_bytes) {
    v1::ConfigSection config;
    config.add_providers()->set_name("small");
    for (unsigned i = 0; i < count; ++i) {
        v1::Provider& each = *config.add_providers();
        each.set_name("claude/a" + std::to_string(i));
        each.set_group("claude");
        each.set_account("a" + std::to_string(i));
        each.set_ca_pem(std::string(ca_bytes, 'c'));
    }
    return config;
}

TEST(PublishedSize, NamesWhatIsTooLarge) {
    EXPECT_TRUE(check_published_size(with_accounts(20, 1 << 20), {}));
    Result<void> large = check_published_size(with_accounts(40, 1 << 20), {});
    ASSERT_FALSE(large);
    for (const char* words : {"'claude'", "40 accounts", "CA certificates", "40.0 MiB", "28 MiB"}) {
        EXPECT_NE(large.error().text().find(words), std::string::npos) << words << " in " << large.error().text();
    }
    EXPECT_LT(with_accounts(28, 1 << 20).ByteSizeLong() - kPublishedBytesMax, std::size_t{1} << 20) << "close to the limit";
    EXPECT_FALSE(check_published_size(with_accounts(28, 1 << 20), {}));
}

class PublishedSizeTest : public test::ControlPlaneTest {
  protected:
    static std::string yaml(const std::string& ca_file) {
        return "providers:\n"
               "  - {name: claude, type: anthropic, base_url: 'https://127.0.0.1:1', auth_type: oauth" + ca_file + "}\n"
               "model_routes:\n"
               "  \"*\": [{provider: claude, model: passthrough, priority: 1}]\n"
               "settings: {log_level: ERROR}\n";
    }

    void log_in(const std::string& name) {
        TokenGrant grant;
        grant.access_token = SecretBytes("access-token");
        grant.expires_in = Milliseconds(3'600'000);
        ASSERT_TRUE(plane_->custody().import_account(name, std::move(grant)));
    }

    std::size_t published() const { return static_cast<std::size_t>(plane_->list_providers("")->providers_size()); }
};

TEST_F(PublishedSizeTest, WhatWouldNotArriveIsRefusedAndNotPublished) {
    std::string pem = tests::TestCa().certificate_pem();
    pem.resize((1 << 20) - 1, '#');
    dir_.write("ca.pem", pem);
    start(yaml(""));
    for (int i = 0; i < 40; ++i) log_in("a" + std::to_string(i));
    ASSERT_EQ(published(), 40U);

    ReloadOutcome outcome = reload(yaml(", ca_file: ca.pem"));
    ASSERT_EQ(outcome.result, ReloadResult::kRefused);
    EXPECT_NE(outcome.problems.at(0).message.find("'claude'"), std::string::npos) << outcome.problems.at(0).message;
    EXPECT_EQ(plane_->config().providers(0).ca_pem(), "");

    for (int i = 20; i < 40; ++i) ASSERT_TRUE(plane_->custody().forget("a" + std::to_string(i)));
    ASSERT_EQ(reload(yaml(", ca_file: ca.pem")).result, ReloadResult::kChanged);
    const auto notices_with = [&](const std::string& words) {
        const v1::GetStatusResponse status = plane_->status();
        return std::count_if(status.notices().begin(), status.notices().end(), [&](const std::string& notice) {
            return notice.find(words) != std::string::npos;
        });
    };
    EXPECT_EQ(notices_with("too large for data planes"), 0);
    for (int i = 20; i < 30; ++i) log_in("a" + std::to_string(i));
    EXPECT_LT(published(), 29U) << "the last ones are not published";
    EXPECT_EQ(notices_with("too large for data planes"), 1);
    ASSERT_TRUE(plane_->custody().forget("a0") && plane_->custody().forget("a1") && plane_->custody().forget("a2"));
    EXPECT_EQ(published(), 27U);
    EXPECT_EQ(notices_with("too large for data planes"), 0);
}

}  // namespace
}  // namespace balancer::controlplane
