#include "tests/support/message_text.hpp"

#include <algorithm>

namespace balancer::tests {
namespace {

bool continues_character(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

}  // namespace

std::string text_of(const MessageSpec& spec) {
    if (spec.text_bytes == 0) return spec.text;
    constexpr std::string_view kFiller = "a stream stays whole while providers come and go ";
    std::string text;
    text.reserve(spec.text_bytes + kFiller.size());
    while (text.size() < spec.text_bytes) text += kFiller;
    text.resize(spec.text_bytes);
    return text;
}

std::vector<std::string> split_text(std::string_view text, std::size_t bytes) {
    std::vector<std::string> pieces;
    while (!text.empty()) {
        std::size_t end = text.size();
        if (bytes > 0) {
            end = std::min(bytes, text.size());
            while (end < text.size() && continues_character(text[end])) ++end;
        } else if (std::size_t space = text.find(' '); space != std::string_view::npos) {
            end = space + 1;
        }
        pieces.emplace_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return pieces;
}

unsigned output_tokens(const MessageSpec& spec, std::string_view text) {
    if (spec.output_tokens > 0) return spec.output_tokens;
    return static_cast<unsigned>(std::ranges::count(text, ' ')) + 1;
}

}  // namespace balancer::tests
