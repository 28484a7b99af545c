// Colours for people. Never in JSON or YAML, never when the output is not a terminal or NO_COLOR is
// set.
#pragma once

#include <string>
#include <string_view>

namespace balancer::cli {

enum class Color { kOff, kOn };

enum class Tone { kPlain, kGood, kWarn, kBad, kDim, kBold };

// `text` inside the terminal's sequences for `tone`, or as it is.
std::string paint(std::string_view text, Tone tone, Color color);

// kOn only when `descriptor` is a terminal that is not "dumb" and NO_COLOR is unset or empty.
Color color_of(int descriptor);

}  // namespace balancer::cli
