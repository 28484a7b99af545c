#include "base/secret_bytes.hpp"

#include <gtest/gtest.h>

#include <concepts>
#include <ostream>
#include <string>
#include <utility>

namespace balancer {
namespace {

template <class T>
concept Printable = requires(std::ostream& out, const T& value) { out << value; };

static_assert(!Printable<SecretBytes>);
static_assert(!std::copyable<SecretBytes>);

TEST(SecretBytes, MovesAndLeavesNothingBehind) {
    SecretBytes first("secret");
    SecretBytes second = std::move(first);
    EXPECT_EQ(second.view(), "secret");
    EXPECT_TRUE(first.empty());
    EXPECT_TRUE(second == second.copy());
    EXPECT_FALSE(second == SecretBytes("secres"));
    EXPECT_FALSE(second == SecretBytes("secre"));
    EXPECT_TRUE(SecretBytes() == SecretBytes(std::string_view()));
}

TEST(SecretBytes, WipesAText) {
    std::string text = "a secret that is too long for the string's own place";
    const char* place = text.data();
    const std::size_t size = text.size();
    wipe(text);
    EXPECT_TRUE(text.empty());
    // The string still owns the memory.
    EXPECT_EQ(std::string(place, size), std::string(size, '\0'));
}

}  // namespace
}  // namespace balancer
