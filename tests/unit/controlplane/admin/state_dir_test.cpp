#include "controlplane/state_dir.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.hpp"
#include "tests/unit/controlplane/admin/temp_dir.hpp"

namespace balancer::controlplane {
namespace {

unsigned mode_of(const std::filesystem::path& path) {
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_mode & 07777;
}

TEST(StateDir, IsMadePrivate) {
    test::TempDir dir;
    std::filesystem::path state = dir.path() / "a" / "b";
    ASSERT_TRUE(prepare_state_dir(state).has_value());
    EXPECT_EQ(mode_of(state), 0700U);
    ASSERT_EQ(::chmod(state.c_str(), 0755), 0);
    ASSERT_TRUE(prepare_state_dir(state).has_value()) << "an empty one may be taken";
    EXPECT_EQ(mode_of(state), 0700U);
}

TEST(StateDir, DoesNotTakeAnOpenFolderWithOtherFiles) {
    test::TempDir dir;
    std::filesystem::path state = dir.path() / "shared";
    std::filesystem::create_directory(state);
    ASSERT_EQ(::chmod(state.c_str(), 0755), 0);
    ASSERT_TRUE(write_file_atomically(state / "somebody's", "x", 0644).has_value());
    Result<void> prepared = prepare_state_dir(state);
    ASSERT_FALSE(prepared.has_value());
    EXPECT_NE(prepared.error().text().find("chmod 700"), std::string::npos);
    EXPECT_EQ(mode_of(state), 0755U);
}

TEST(StateDir, MakesTokensOnceAndPrivate) {
    test::TempDir dir;
    Result<Tokens> first = load_or_make_tokens(dir.path());
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->admin.size(), 64U);
    EXPECT_NE(first->admin, first->data_plane);
    EXPECT_EQ(mode_of(dir.path() / kAdminTokenFile), 0600U);
    EXPECT_EQ(mode_of(dir.path() / kDataPlaneTokenFile), 0600U);
    Result<Tokens> second = load_or_make_tokens(dir.path());
    ASSERT_TRUE(second.has_value());
    EXPECT_EQ(second->admin, first->admin);
    EXPECT_EQ(second->data_plane, first->data_plane);
}

TEST(StateDir, RefusesATokenThatOthersCanRead) {
    test::TempDir dir;
    ASSERT_TRUE(load_or_make_tokens(dir.path()).has_value());
    ASSERT_EQ(::chmod((dir.path() / kAdminTokenFile).c_str(), 0644), 0);
    Result<Tokens> tokens = load_or_make_tokens(dir.path());
    ASSERT_FALSE(tokens.has_value());
    EXPECT_NE(tokens.error().text().find("chmod 600"), std::string::npos);
}

TEST(StateDir, WritesAddressesAsJson) {
    test::TempDir dir;
    ASSERT_TRUE(write_addresses(dir.path(), {"127.0.0.1:1", "[::1]:2"}).has_value());
    EXPECT_EQ(
        *read_file(dir.path() / kAddressesFile), "{\"grpc\":\"127.0.0.1:1\",\"http\":\"[::1]:2\"}\n"
    );
}

}  // namespace
}  // namespace balancer::controlplane
