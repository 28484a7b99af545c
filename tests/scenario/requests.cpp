#include "tests/scenario/requests.hpp"

#include <fmt/format.h>

#include <utility>

namespace balancer::tests {

std::string post_request(std::string_view lines, std::string_view body, std::string_view target) {
    return fmt::format(
        "POST {} HTTP/1.1\r\nHost: balancer.example\r\nContent-Type: application/json\r\n{}"
        "Content-Length: {}\r\n\r\n{}",
        target,
        lines,
        body.size(),
        body
    );
}

std::string chunked_request(std::string_view head_lines, std::string_view body, std::size_t chunk) {
    std::string out = fmt::format(
        "POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n{}"
        "Transfer-Encoding: chunked\r\n\r\n",
        head_lines
    );
    for (std::size_t at = 0; at < body.size(); at += chunk) {
        std::string_view piece = body.substr(at, chunk);
        out += fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
    }
    return out + "0\r\n\r\n";
}

std::string small_body(std::string_view model) {
    return fmt::format(R"({{"model":"{}","messages":[]}})", model);
}

std::string numbered_body(std::size_t bytes) {
    std::string body =
        R"({"model":"claude-big","max_tokens":1,"messages":[{"role":"user","content":")";
    body.reserve(bytes + 64);
    for (std::uint64_t number = 0; body.size() < bytes; ++number) {
        fmt::format_to(std::back_inserter(body), "{:015x} ", number * 0x9e3779b97f4a7c15ULL >> 4);
    }
    return body + "\"}]}";
}

ClaudeCodeRequest for_model(std::string model, std::string session) {
    ClaudeCodeRequest request = unstreamed();
    request.model = std::move(model);
    request.session_id = std::move(session);
    return request;
}

std::string target(std::string_view provider, std::string_view model, int priority) {
    return fmt::format(
        "    - {{provider: {}, model: \"{}\", priority: {}}}\n", provider, model, priority
    );
}

std::string route(std::string_view pattern, const std::string& targets) {
    return fmt::format("  '{}':\n{}", pattern, targets);
}

ClaudeCodeRequest in_session(std::string session, bool stream) {
    ClaudeCodeRequest request;
    request.session_id = std::move(session);
    request.stream = stream;
    return request;
}

Script script_at(std::string path, Step step) {
    Rule rule;
    rule.match.path = std::move(path);
    rule.steps.push_back(std::move(step));
    Script script;
    script.rules.push_back(std::move(rule));
    return script;
}

std::string used(const RawResponse& answer) {
    return answer.header("x-provider-used");
}

}  // namespace balancer::tests
