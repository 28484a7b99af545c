// What Anthropic's Messages API says, generated: messages, streams in their exact order, errors,
// counts, models. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/script.hpp"

namespace balancer::tests {

// Good enough for a stream's shape; a real one is longer and opaque too.
inline constexpr std::string_view kFakeSignature =
    "EqQBCkYIBxgCKkDfakeSignatureOfTheFakeProvider+/fakeSignature==";

// Whose signature the provider gives, and takes in a conversation.
std::string_view signature_of(const MessageSpec& spec);

// Reads `model` and `stream` of a request body; both stay as they are when it is not a JSON object.
void read_anthropic_request(std::string_view body, std::string& model, bool& stream);

// A whole message, compact. `number` makes its ids.
std::string anthropic_message(
    const MessageSpec& spec, std::string_view model, std::uint64_t number
);

// The same as events: message_start, ping, then per block content_block_start, deltas,
// content_block_stop, then message_delta and message_stop.
std::vector<StreamEvent> anthropic_stream(
    const MessageSpec& spec, std::string_view model, std::uint64_t number
);

// `event: NAME\ndata: JSON\n\n`.
std::string anthropic_event(std::string_view name, std::string_view json);

std::string anthropic_error_event(const ErrorSpec& error);

// Type and message left open in `error` are those that Anthropic uses with `status`.
std::string anthropic_error(const ErrorSpec& error, unsigned status, std::uint64_t number);

std::string anthropic_token_count(std::string_view request_body);

std::string anthropic_models();

}  // namespace balancer::tests
