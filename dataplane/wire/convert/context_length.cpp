#include "dataplane/wire/convert/context_length.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>

#include "base/ascii.hpp"

namespace balancer::wire::convert {
namespace {

// All in lower case. What a message says when it is about the length of the conversation, in the
// words of the servers themselves; the test has them whole.
constexpr std::string_view kPhrases[] = {
    "context length",
    "context_length",
    "context size",
    "context window",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "prompt token count",
    "input token count",
    "input tokens exceed",
    "too many tokens",
    "exceeded model token limit",
    "prompt length is",
    "prompt exceeds max length",
    "maximum model length",
    "range of input length",
    "maximum allowed length",
    "allowed input length",
    "more than max tokens allowed",
    "max message tokens",
    "reduce the length of the messages",
    "`inputs` tokens +",
    "`inputs` must have less than",
};

// vLLM's words for an image or a clip that is too large for its cache: a shorter conversation does
// not help.
constexpr std::string_view kOfMedia = " encoder prompt";

// Where a number of tokens stands: directly in front of these words, or behind them.
enum Side { kBefore, kBehind };

struct Clue {
    Side side;
    std::string_view words;
};

// The first that is found counts.
constexpr Clue kLimits[] = {
    {kBehind, "context length is"},
    {kBehind, "context length of"},
    {kBehind, "context length ("},
    {kBefore, " maximum context length"},
    {kBehind, "context size ("},
    {kBehind, "context size is"},
    {kBehind, "prompt length is"},
    {kBehind, "model length of"},
    {kBehind, "tokens allowed ("},
    {kBehind, "allowed length ("},
    {kBehind, "allowed input length of"},
    {kBehind, "limit of"},
    {kBehind, "token limit:"},
    {kBehind, "maximum of"},
    {kBehind, "must be <="},
    {kBehind, "must have less than"},
};

// Of one prompt: the sum.
constexpr Clue kPromptParts[] = {
    {kBefore, " in the messages"},
    {kBefore, " tokens in the messages"},
    {kBefore, " in the functions"},
    {kBefore, " in your prompt"},
    {kBefore, " of text input"},
    {kBefore, " of image input"},
    {kBefore, " of tool input"},
    {kBefore, " tokens from the input messages"},
    {kBefore, " input tokens"},
    {kBefore, " `inputs` tokens"},
};

constexpr Clue kPrompts[] = {
    {kBehind, "resulted in"},
    {kBehind, "token count of"},
    {kBehind, "token count ("},
    {kBehind, "request has"},
    {kBehind, "request contains"},
    {kBehind, "request ("},
    {kBehind, "prompt contains"},
    {kBehind, "prompt has"},
    {kBehind, "prompt (length"},
    {kBehind, "input ("},
    {kBehind, "input length"},
    {kBehind, "given:"},
};

constexpr Clue kCompletions[] = {
    {kBefore, " in the completion"},
    {kBefore, " for the completion"},
    {kBefore, " tokens for the completion"},
    {kBefore, " in the output"},
    {kBefore, " output tokens"},
    {kBefore, " `max_new_tokens`"},
    {kBehind, "is too large:"},
};

// Prompt and completion together, or the prompt where the message knows of no completion.
constexpr Clue kTotals[] = {
    {kBehind, "you requested"},
    {kBehind, "(requested:"},
};

// Between words and the number behind them: " at least ", " about ", " (".
constexpr std::size_t kGapMax = 12;

struct Number {
    std::uint64_t value = 0;
    std::size_t begin = 0;
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
        if (digits >= 3) return Number{value, at, end};
        at = end;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> find(std::string_view text, const Clue& clue) {
    if (clue.side == kBehind) {
        std::size_t at = text.find(clue.words);
        if (at == std::string_view::npos) return std::nullopt;
        at += clue.words.size();
        std::optional<Number> number = next_number(text, at);
        if (!number || number->begin - at > kGapMax) return std::nullopt;
        return number->value;
    }
    for (auto number = next_number(text, 0); number; number = next_number(text, number->end)) {
        if (text.substr(number->end).starts_with(clue.words)) return number->value;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> find_first(std::string_view text, std::span<const Clue> clues) {
    for (const Clue& clue : clues) {
        if (auto found = find(text, clue)) return found;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> find_prompt(
    std::string_view text, const std::optional<std::uint64_t>& completion
) {
    std::uint64_t sum = 0;
    for (const Clue& clue : kPromptParts) sum += find(text, clue).value_or(0);
    if (sum > 0) return sum;
    if (auto found = find_first(text, kPrompts)) return found;
    auto total = find_first(text, kTotals);
    if (!total || !completion) return total;
    if (*total <= *completion) return std::nullopt;
    return *total - *completion;
}

bool speaks_of_length(std::string_view text) {
    if (text.find(kOfMedia) != std::string_view::npos) return false;
    return std::any_of(std::begin(kPhrases), std::end(kPhrases), [text](std::string_view phrase) {
        return text.find(phrase) != std::string_view::npos;
    });
}

}  // namespace

std::string context_length_message(std::string_view message, bool known) {
    std::string text = to_lower(message);
    if (!known && !speaks_of_length(text)) return {};
    auto limit = find_first(text, kLimits);
    auto completion = find_first(text, kCompletions);
    auto prompt = find_prompt(text, completion);
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
