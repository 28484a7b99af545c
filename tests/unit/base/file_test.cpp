#include "base/file.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>

namespace balancer {
namespace {

class File : public testing::Test {
  protected:
    File() {
        std::string pattern = (std::filesystem::temp_directory_path() / "balancer-file-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
    }
    ~File() override { std::filesystem::remove_all(folder_); }
    std::filesystem::path folder_;
};

TEST_F(File, IsReplacedWholeAndLeavesNothingBehind) {
    std::filesystem::path path = folder_ / "f";
    ASSERT_TRUE(write_file_atomically(path, "one", 0600));
    ASSERT_TRUE(write_file_atomically(path, "two", 0600));
    EXPECT_EQ(*read_file(path), "two");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
    EXPECT_FALSE(write_file_atomically(folder_ / "missing" / "f", "x", 0600));
}

TEST_F(File, ErrorsNameThePathAndTheReason) {
    Result<std::string> content = read_file(folder_ / "none");
    ASSERT_FALSE(content);
    EXPECT_NE(content.error().text().find((folder_ / "none").string()), std::string::npos);
    ASSERT_TRUE(write_file_atomically(folder_ / "large", std::string(100, 'x'), 0600));
    EXPECT_FALSE(read_file(folder_ / "large", 99));
}

TEST_F(File, AReplacedFileKeepsItsModeAndItsLink) {
    std::filesystem::path real = folder_ / "real";
    std::filesystem::path link = folder_ / "link";
    ASSERT_TRUE(write_file_atomically(real, "old", 0644));
    std::filesystem::permissions(real, std::filesystem::perms(0664));
    std::filesystem::create_symlink(real, link);
    ASSERT_TRUE(replace_file(link, "new"));
    EXPECT_EQ(*read_file(real), "new");
    EXPECT_TRUE(std::filesystem::is_symlink(link));
    EXPECT_EQ(std::filesystem::status(real).permissions(), std::filesystem::perms(0664));
    ASSERT_TRUE(replace_file(folder_ / "fresh", "x"));
    EXPECT_EQ(std::filesystem::status(folder_ / "fresh").permissions(), std::filesystem::perms(0600));
    EXPECT_FALSE(replace_file(folder_ / "none" / "x", "x"));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 3) << "no leftovers";
}

TEST_F(File, ASecretThatOthersCanReadIsRefusedWithTheMend) {
    std::filesystem::path path = folder_ / "token";
    ASSERT_TRUE(write_file_atomically(path, " value \n", 0600));
    for (unsigned mode : {0644U, 0604U, 0602U, 0660U, 0620U, 0601U, 0666U}) {
        std::filesystem::permissions(path, std::filesystem::perms(mode));
        Result<std::string> secret = read_secret_file(path);
        ASSERT_FALSE(secret) << std::oct << mode;
        EXPECT_NE(secret.error().text().find("chmod 600"), std::string::npos);
    }
    // 0440: a Kubernetes secret with fsGroup, and a credential of systemd, whose ACL shows as the group's.
    for (unsigned mode : {0400U, 0600U, 0440U, 0640U}) {
        std::filesystem::permissions(path, std::filesystem::perms(mode));
        Result<std::string> secret = read_secret_file(path);
        ASSERT_TRUE(secret) << std::oct << mode;
        EXPECT_EQ(*secret, "value");
    }
    ASSERT_TRUE(write_file_atomically(path, " \n", 0600));
    EXPECT_FALSE(read_secret_file(path));
}

TEST_F(File, APipeIsRefusedAndNotWaitedFor) {
    std::filesystem::path pipe = folder_ / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    Result<std::string> content = read_file(pipe);
    ASSERT_FALSE(content);
    EXPECT_NE(content.error().text().find("is not a regular file"), std::string::npos);
    EXPECT_NE(content.error().text().find(pipe.string()), std::string::npos);
    EXPECT_FALSE(read_file(folder_));
}

TEST(Digest, IsSha256) {
    EXPECT_EQ(to_hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_TRUE(equal_in_constant_time("a", "a"));
    EXPECT_FALSE(equal_in_constant_time("a", "b"));
    EXPECT_FALSE(equal_in_constant_time("a", "ab"));
    EXPECT_NE(random_hex(8), random_hex(8));
    EXPECT_EQ(random_hex(8).size(), 16u);
}

}  // namespace
}  // namespace balancer
