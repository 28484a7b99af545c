#include "dataplane/wire/openai_error.hpp"

#include <fmt/format.h>

#include <array>

#include "base/log.hpp"
#include "dataplane/wire/body_scan.hpp"

namespace balancer::wire {
namespace {

struct Kind {
    std::string_view anthropic;
    unsigned status;  // of Anthropic's service
    std::string_view openai;
    std::string_view code;
};

constexpr std::array<Kind, 10> kKinds = {{
    {"invalid_request_error", 400, "invalid_request_error", ""},
    {"authentication_error", 401, "invalid_request_error", "invalid_api_key"},
    {"billing_error", 402, "insufficient_quota", "insufficient_quota"},
    {"permission_error", 403, "permission_error", ""},
    {"not_found_error", 404, "invalid_request_error", "not_found"},
    {"request_too_large", 413, "invalid_request_error", "request_too_large"},
    {"rate_limit_error", 429, "rate_limit_error", "rate_limit_exceeded"},
    {"timeout_error", 504, "server_error", "timeout"},
    {"overloaded_error", 529, "server_error", "overloaded"},
    {"api_error", 500, "server_error", ""},
}};

const Kind& kind_of(std::string_view type) {
    for (const Kind& kind : kKinds) {
        if (kind.anthropic == type) return kind;
    }
    return kKinds.back();
}

bool is_too_long(std::string_view message) {
    return message.starts_with("prompt is too long") ||
           message.starts_with("input length and `max_tokens` exceed context limit");
}

}  // namespace

// 529 is Anthropic's own: clients of OpenAI know 503.
unsigned openai_status_of(const LocalError& error) {
    return error.status == 529 ? 503 : error.status;
}

void append_openai_error(std::string& out, const LocalError& error, std::string_view request_id) {
    const Kind& kind = kind_of(error.type);
    std::string_view code = is_too_long(error.message) ? std::string_view("context_length_exceeded")
                            : error.code.empty()       ? kind.code
                                                       : std::string_view(error.code);
    out.append("{\"error\":{\"message\":");
    append_json_string(out, error.message);
    out.append(",\"type\":");
    append_json_string(out, kind.openai);
    out.append(",\"param\":null,\"code\":");
    if (code.empty()) {
        out.append("null");
    } else {
        append_json_string(out, code);
    }
    append_error_details(out, error);
    out.push_back('}');
    if (!request_id.empty()) {
        out.append(",\"request_id\":");
        append_json_string(out, request_id);
    }
    out.push_back('}');
}

LocalError anthropic_error(unsigned status, std::string_view body) {
    ErrorWords words = read_error_words(body);
    LocalError error;
    error.type = words.type.empty() ? "api_error" : words.type;
    error.status = status >= 400 ? status : kind_of(error.type).status;
    error.message = words.message.empty()
                        ? fmt::format("The provider answered with status {}", error.status)
                        : words.message;
    return error;
}

}  // namespace balancer::wire
