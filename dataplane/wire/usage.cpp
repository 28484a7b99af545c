#include "dataplane/wire/usage.hpp"

#include <charconv>

namespace balancer::wire {
namespace {

// The number behind the last `key` (with its quotes and colon), if there is one.
void take_last(std::string_view body, std::string_view key, std::uint64_t& number) {
    std::size_t at = body.rfind(key);
    if (at == std::string_view::npos) return;
    at = body.find_first_not_of(' ', at + key.size());
    if (at == std::string_view::npos) return;
    std::uint64_t read = 0;
    auto [end, error] = std::from_chars(body.data() + at, body.data() + body.size(), read);
    if (error == std::errc() && read <= UINT32_MAX) number = read;
}

}  // namespace

void Usage::look_into(std::string_view body) {
    // Nearly all events say nothing of it.
    std::size_t at = body.find("\"usage\":");
    if (at == std::string_view::npos) return;
    std::string_view rest = body.substr(at);
    take_last(rest, "\"input_tokens\":", input_);
    take_last(rest, "\"cache_read_input_tokens\":", cache_read_);
    take_last(rest, "\"cache_creation_input_tokens\":", cache_written_);
    take_last(rest, "\"output_tokens\":", output_);
    take_last(rest, "\"prompt_tokens\":", input_);
    take_last(rest, "\"completion_tokens\":", output_);
}

}  // namespace balancer::wire
