// Requests in the shape that Claude Code sends them: header order, fields and sizes; the texts are
// filler.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace balancer::tests {

struct ClaudeCodeRequest {
    std::string model = "claude-opus-5-5";
    std::string prompt = "Say hello.";
    bool stream = true;
    std::size_t body_bytes = 0;  // pads the tools up to this size; 0: as small as it comes
    std::string session_id = "11111111-2222-4333-8444-555555555555";
    std::string api_key = "test-client-key";  // x-api-key; empty: none
    std::string auth_token;                   // Authorization: Bearer; empty: none
    std::string target = "/v1/messages?beta=true";
    std::string host = "127.0.0.1";
};

// The JSON body alone. Exactly `body_bytes` long when that is more than the least size.
std::string claude_code_body(const ClaudeCodeRequest& request);

// Head and body.
std::string claude_code_request(const ClaudeCodeRequest& request = {});

// The same head for another body.
std::string claude_code_request(const ClaudeCodeRequest& request, std::string_view body);

}  // namespace balancer::tests
