#include "dataplane/wire/convert/usage.hpp"

#include <algorithm>
#include <charconv>

#include "dataplane/wire/convert/json_write.hpp"

namespace balancer::wire::convert {

void take_greater(Usage& usage, const Usage& told) {
    // The two of them together are the prompt, and which part of it came out of a cache may be told
    // late.
    bool longer = told.input_tokens + told.cache_read_tokens >=
                  usage.input_tokens + usage.cache_read_tokens;
    if (longer) {
        usage.input_tokens = told.input_tokens;
        usage.cache_read_tokens = told.cache_read_tokens;
    }
    usage.cache_creation_tokens = std::max(usage.cache_creation_tokens, told.cache_creation_tokens);
    usage.output_tokens = std::max(usage.output_tokens, told.output_tokens);
}

void take_anthropic_count(Usage& usage, std::string_view name, std::string_view raw) {
    std::uint64_t* count = name == "input_tokens"                  ? &usage.input_tokens
                           : name == "output_tokens"               ? &usage.output_tokens
                           : name == "cache_read_input_tokens"     ? &usage.cache_read_tokens
                           : name == "cache_creation_input_tokens" ? &usage.cache_creation_tokens
                                                                   : nullptr;
    if (count == nullptr) return;
    std::uint64_t number = 0;
    auto [end, problem] = std::from_chars(raw.data(), raw.data() + raw.size(), number);
    if (problem == std::errc() && end == raw.data() + raw.size()) *count = std::max(*count, number);
}

void append_anthropic_usage(std::string& out, const Usage& usage) {
    open_member(out, "usage");
    out.push_back('{');
    number_member(out, "input_tokens", usage.input_tokens);
    number_member(out, "cache_creation_input_tokens", usage.cache_creation_tokens);
    number_member(out, "cache_read_input_tokens", usage.cache_read_tokens);
    number_member(out, "output_tokens", usage.output_tokens);
    out.push_back('}');
}

void append_openai_usage(std::string& out, const Usage& usage) {
    std::uint64_t prompt =
        usage.input_tokens + usage.cache_creation_tokens + usage.cache_read_tokens;
    open_member(out, "usage");
    out.push_back('{');
    number_member(out, "prompt_tokens", prompt);
    number_member(out, "completion_tokens", usage.output_tokens);
    number_member(out, "total_tokens", prompt + usage.output_tokens);
    open_member(out, "prompt_tokens_details");
    out.push_back('{');
    number_member(out, "cached_tokens", usage.cache_read_tokens);
    out.append("}}");
}

}  // namespace balancer::wire::convert
