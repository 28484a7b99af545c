#include "cli/style.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace balancer::cli {

std::string paint(std::string_view text, Tone tone, Color color) {
    if (color == Color::kOff || text.empty()) return std::string(text);
    switch (tone) {
        case Tone::kGood:
            return fmt::format("\x1b[32m{}\x1b[0m", text);
        case Tone::kWarn:
            return fmt::format("\x1b[33m{}\x1b[0m", text);
        case Tone::kBad:
            return fmt::format("\x1b[31m{}\x1b[0m", text);
        case Tone::kDim:
            return fmt::format("\x1b[2m{}\x1b[0m", text);
        case Tone::kBold:
            return fmt::format("\x1b[1m{}\x1b[0m", text);
        case Tone::kPlain:
            break;
    }
    return std::string(text);
}

Color color_of(int descriptor) {
    const char* refusal = std::getenv("NO_COLOR");
    if (refusal != nullptr && *refusal != '\0') return Color::kOff;
    const char* terminal = std::getenv("TERM");
    if (terminal == nullptr || std::string_view(terminal) == "dumb") return Color::kOff;
    return ::isatty(descriptor) == 1 ? Color::kOn : Color::kOff;
}

}  // namespace balancer::cli
