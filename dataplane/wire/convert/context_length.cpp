#include "dataplane/wire/convert/context_length.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <optional>

#include "base/ascii.hpp"

namespace balancer::wire::convert {
namespace {

// In lower case.
constexpr std::array<std::string_view, 9> kPhrases = {
    "maximum context length",
    "context length exceeded",
    "context_length_exceeded",
    "context window",
    "available context size",
    "prompt is too long",
    "input is too long",
    "prompt token count",
    "too many tokens",
};

struct Number {
    std::uint64_t value = 0;
    std::size_t end = 0;
};

// The first number of three digits and more behind `from`; a comma between digits is left out.
std::optional<Number> next_number(std::string_view text, std::size_t from) {
    for (std::size_t at = from; at < text.size(); ++at) {
        if (text[at] < '0' || text[at] > '9') continue;
        std::uint64_t value = 0;
        std::size_t digits = 0;
        std::size_t end = at;
        for (; end < text.size() && digits < 15; ++end) {
            bool is_digit = text[end] >= '0' && text[end] <= '9';
            bool is_comma = text[end] == ',' && end + 1 < text.size() && text[end + 1] >= '0' &&
                            text[end + 1] <= '9';
            if (!is_digit && !is_comma) break;
            if (!is_digit) continue;
            value = value * 10 + static_cast<std::uint64_t>(text[end] - '0');
            ++digits;
        }
        if (digits >= 3) return Number{value, end};
        at = end;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view words) {
    std::size_t at = text.find(words);
    if (at == std::string_view::npos) return std::nullopt;
    std::optional<Number> number = next_number(text, at + words.size());
    if (!number) return std::nullopt;
    return number->value;
}

// The number that is directly followed by `words`.
std::optional<std::uint64_t> number_before(std::string_view text, std::string_view words) {
    std::optional<Number> number = next_number(text, 0);
    while (number) {
        if (text.substr(number->end).starts_with(words)) return number->value;
        number = next_number(text, number->end);
    }
    return std::nullopt;
}

std::optional<std::uint64_t> first_of(std::initializer_list<std::optional<std::uint64_t>> candidates
) {
    for (const auto& candidate : candidates) {
        if (candidate) return candidate;
    }
    return std::nullopt;
}

bool speaks_of_length(std::string_view text) {
    for (std::string_view phrase : kPhrases) {
        if (text.find(phrase) != std::string_view::npos) return true;
    }
    return false;
}

}  // namespace

std::string context_length_message(std::string_view message, bool known) {
    std::string text = to_lower(message);
    if (!known && !speaks_of_length(text)) return {};
    auto limit = first_of({
        number_behind(text, "context length is"),
        number_behind(text, "limit of"),
        number_behind(text, "context size ("),
        number_behind(text, "maximum of"),
    });
    auto prompt = first_of({
        number_before(text, " in the messages"),
        number_before(text, " of text input"),
        number_before(text, " in your prompt"),
        number_behind(text, "resulted in"),
        number_behind(text, "token count of"),
        number_behind(text, "you requested"),
        number_behind(text, "request has"),
        number_behind(text, "request ("),
    });
    auto completion = first_of({
        number_before(text, " in the completion"),
        number_before(text, " for the completion"),
        number_behind(text, "is too large:"),
    });
    if (limit && prompt && *prompt > *limit) {
        return fmt::format("prompt is too long: {} tokens > {} maximum", *prompt, *limit);
    }
    if (limit && prompt && completion && *prompt + *completion > *limit) {
        return fmt::format(
            "input length and `max_tokens` exceed context limit: {} + {} > {}, decrease input "
            "length or "
            "`max_tokens` and try again",
            *prompt,
            *completion,
            *limit
        );
    }
    if (text.starts_with("prompt is too long")) return std::string(message);
    return fmt::format("prompt is too long: {}", message);
}

}  // namespace balancer::wire::convert
