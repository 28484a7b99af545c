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

TEST(Utf8, WhatIsNotWellFormedIsReplaced) {
    EXPECT_EQ(to_utf8("a\xC3\xA9\xE6\x9C\xAC\xF0\x9F\x98\x80"), "a\xC3\xA9\xE6\x9C\xAC\xF0\x9F\x98\x80");
    const std::string mark = "\xEF\xBF\xBD";
    EXPECT_EQ(to_utf8("\xFF" "a"), mark + "a");
    EXPECT_EQ(to_utf8("\xC0\x80"), mark + mark) << "overlong";
    EXPECT_EQ(to_utf8("\xED\xA0\x80"), mark + mark + mark) << "a surrogate";
    EXPECT_EQ(to_utf8("\xE6\x9C"), mark + mark) << "cut";
    EXPECT_EQ(to_utf8("\xF4\x90\x80\x80"), mark + mark + mark + mark) << "beyond U+10FFFF";
}

}  // namespace
}  // namespace balancer
