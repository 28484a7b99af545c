#include "base/utf8.hpp"

#include <gtest/gtest.h>

namespace balancer {
namespace {

TEST(Utf8, CutsBetweenCharacters) {
    const std::string text = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z";  // of 1, 2, 3, 4, 1 bytes
    const std::size_t kept[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    for (std::size_t bytes_max = 0; bytes_max < std::size(kept); ++bytes_max) {
        EXPECT_EQ(utf8_prefix(text, bytes_max).size(), kept[bytes_max]) << bytes_max;
    }
    EXPECT_EQ(utf8_prefix(text, 100), text);
    std::string cut = text;
    cut_utf8(cut, 5);
    EXPECT_EQ(cut, "a\xc3\xa4");
}

TEST(Utf8, TakesLittleOffWhatIsNone) {
    EXPECT_EQ(utf8_prefix(std::string(100, '\x80'), 50).size(), 47U);
    EXPECT_EQ(utf8_prefix(std::string(3, '\x80'), 2), "");
}

}  // namespace
}  // namespace balancer
