// Tokens of an answer, counted as Anthropic counts: what came out of a cache is not in
// input_tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace balancer::wire::convert {

struct Usage {
    std::uint64_t input_tokens = 0;
    std::uint64_t cache_creation_tokens = 0;
    std::uint64_t cache_read_tokens = 0;
    std::uint64_t output_tokens = 0;
    bool operator==(const Usage&) const = default;
};

// Takes the greater counts over: a stream tells some of them twice, the later ones are cumulative, and
// some servers end with one that is all zeros.
void take_greater(Usage& usage, const Usage& told);

// Takes one member of Anthropic's usage object over in the same way. `raw` is its value.
void take_anthropic_count(Usage& usage, std::string_view name, std::string_view raw);

// The member "usage" of a message, or of a message_delta.
void append_anthropic_usage(std::string& out, const Usage& usage);

// The member "usage" of a completion: prompt_tokens holds what came out of a cache too.
void append_openai_usage(std::string& out, const Usage& usage);

}  // namespace balancer::wire::convert
