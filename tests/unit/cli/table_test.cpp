#include "cli/table.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace balancer::cli {
namespace {

std::string printed(const Table& table, Color color = Color::kOff) {
    std::ostringstream out;
    table.print(out, color);
    return out.str();
}

TEST(Table, AlignsColumnsAndLeavesNoTrailingSpace) {
    Table table({"NAME", "STATE", "CAUSE"});
    table.add({"a", "closed", ""});
    table.add({"a longer name", "open", "why"});
    EXPECT_EQ(
        printed(table),
        "NAME           STATE   CAUSE\n"
        "a              closed\n"
        "a longer name  open    why\n"
    );
}

TEST(Table, CountsCharactersNotBytes) {
    Table table({});
    table.add({"ü", "x"});
    table.add({"ab", "y"});
    EXPECT_EQ(printed(table), "ü   x\nab  y\n");
}

TEST(Table, ColoursDoNotDisturbTheAlignment) {
    Table table({});
    table.add({Cell("bad", Tone::kBad), "x"});
    table.add({"good!", "y"});
    EXPECT_EQ(printed(table, Color::kOn), "\x1b[31mbad\x1b[0m    x\ngood!  y\n");
    EXPECT_EQ(printed(table), "bad    x\ngood!  y\n");
}

TEST(Table, ShowsNoControlCharacters) {
    Table table({});
    table.add({std::string("a\x1b[2Jb\nc")});
    EXPECT_EQ(printed(table), "a?[2Jb?c\n");
}

TEST(Table, ToleratesShortRows) {
    Table table({"A", "B"});
    table.add({"only"});
    EXPECT_EQ(printed(table), "A     B\nonly\n");
}

}  // namespace
}  // namespace balancer::cli
