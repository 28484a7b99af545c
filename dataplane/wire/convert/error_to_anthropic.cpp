#include "dataplane/wire/convert/error_to_anthropic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "dataplane/wire/convert/context_length.hpp"
#include "dataplane/wire/convert/json_text.hpp"
#include "dataplane/wire/convert/json_walk.hpp"

namespace balancer::wire::convert {
namespace {

using Walk = JsonReader::Walk;

constexpr std::size_t kQuotedBytesMax = 1000;

// An error of an error of an error is the most that real gateways nest.
constexpr int kNestingMax = 3;

struct Words {
    std::string type;
    std::string code;
    std::string message;
    std::string cause;  // a gateway's: what the provider behind it said

    bool empty() const { return type.empty() && code.empty() && message.empty(); }
};

void read_word(Walk& walk, std::string_view name, Value& value, Words& words) {
    JsonKind kind = walk.kind(value);
    if (name == "type" && kind == JsonKind::kString) {
        words.type = unescaped(walk.string(value));
    } else if (name == "code" && kind == JsonKind::kString) {
        words.code = unescaped(walk.string(value));
    } else if (name == "code" && kind == JsonKind::kNumber) {
        words.code = walk.raw(value);
    } else if (name == "message" || name == "detail" || name == "error") {
        if (kind == JsonKind::kString) {
            words.message = unescaped(walk.string(value));
        } else if (kind != JsonKind::kNull && words.message.empty()) {
            words.message = walk.raw(value).substr(0, kQuotedBytesMax);
        }
    } else if (name == "metadata") {
        // OpenRouter's: a text, which may be JSON in its turn, or the JSON itself.
        walk.members(value, [&](std::string_view key, Value& member) {
            if (key != "raw") return;
            words.cause = walk.kind(member) == JsonKind::kString ? unescaped(walk.string(member))
                                                                 : std::string(walk.raw(member));
        });
    }
}

void read_inner(Walk& walk, Value& value, Words& words) {
    walk.members(value, [&](std::string_view name, Value& member) {
        read_word(walk, name, member, words);
    });
}

// Where servers put their words: in "error" (an object or a text), beside it, or in the choice that
// they broke off.
struct ErrorReader {
    Walk& walk;
    Words inner = {};
    Words outer = {};

    void member(std::string_view name, Value& value) {
        if (name == "error" && walk.kind(value) == JsonKind::kObject) {
            read_inner(walk, value, inner);
        } else if (name == "choices") {
            walk.elements(value, [this](std::size_t, Value& choice) {
                walk.members(choice, [this](std::string_view key, Value& broken) {
                    if (key == "error" && inner.empty()) read_inner(walk, broken, inner);
                });
            });
        } else {
            read_word(walk, name, value, outer);
        }
    }
};

std::string_view without_blanks_in_front(std::string_view text) {
    return text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

bool looks_like_json(std::string_view text) {
    text = without_blanks_in_front(text);
    return text.starts_with('{') || text.starts_with('[');
}

Words read_words(JsonReader& reader, std::string_view body, int levels = kNestingMax);

// What a gateway wraps says more than "Provider returned error".
void unwrap(JsonReader& reader, std::string_view wrapped, int levels, Words& words) {
    if (levels == 0 || wrapped.empty()) return;
    Words found;
    if (looks_like_json(wrapped)) {
        found = read_words(reader, wrapped, levels - 1);
    } else if (wrapped.size() <= kQuotedBytesMax && wrapped.front() != '<') {
        found.message = wrapped;
    }
    if (found.message.empty()) return;
    words.message = std::move(found.message);
    if (!found.type.empty()) words.type = std::move(found.type);
    if (!found.code.empty()) words.code = std::move(found.code);
}

Words read_words(JsonReader& reader, std::string_view body, int levels) {
    ErrorReader error{reader.walk()};
    auto take = [&error](std::string_view name, Value& value) { error.member(name, value); };
    Result<void> read;
    if (without_blanks_in_front(body).starts_with('[')) {
        // Gemini's: a list of one.
        std::string listed = fmt::format("{{\"list\":{}}}", body);
        read = error.walk.read_object_copy(listed, [&](std::string_view, Value& list) {
            error.walk.elements(list, [&](std::size_t at, Value& element) {
                if (at == 0) error.walk.members(element, take);
            });
        });
    } else {
        read = error.walk.read_object_copy(body, take);
    }
    if (!read) return {};
    Words words = std::move(error.inner.empty() ? error.outer : error.inner);
    if (!words.cause.empty()) {
        unwrap(reader, words.cause, levels, words);
    } else if (looks_like_json(words.message)) {
        unwrap(reader, std::string(words.message), levels, words);
    }
    return words;
}

bool is_any_of(const Words& words, std::initializer_list<std::string_view> names) {
    for (std::string_view name : names) {
        if (words.type == name || words.code == name) return true;
    }
    return false;
}

// The status that an error inside of a success would have had.
unsigned status_of(const Words& words) {
    unsigned code = 0;
    const char* end = words.code.data() + words.code.size();
    auto [read, problem] = std::from_chars(words.code.data(), end, code);
    if (problem == std::errc() && read == end && code >= 400 && code <= 599) return code;
    if (is_any_of(words, {"rate_limit_exceeded", "rate_limit_error", "requests", "tokens"}))
        return 429;
    if (is_any_of(words, {"overloaded_error", "overloaded", "engine_overloaded", "service_unavailable"}))
        return 529;
    if (is_any_of(words, {"invalid_api_key", "authentication_error"})) return 401;
    if (is_any_of(words, {"permission_error", "permission_denied"})) return 403;
    if (is_any_of(words, {"model_not_found", "not_found_error", "not_found"})) return 404;
    if (is_any_of(words, {"request_too_large"})) return 413;
    if (is_any_of(words, {"timeout", "timeout_error"})) return 504;
    if (is_any_of(words, {"invalid_request_error", "invalid_request", "BadRequestError"}))
        return 400;
    return 500;
}

std::string_view type_of(unsigned status) {
    static constexpr std::array<std::pair<unsigned, std::string_view>, 9> kTypes = {{
        {401, "authentication_error"},
        {402, "billing_error"},
        {403, "permission_error"},
        {404, "not_found_error"},
        {408, "timeout_error"},
        {413, "request_too_large"},
        {429, "rate_limit_error"},
        {504, "timeout_error"},
        {529, "overloaded_error"},
    }};
    for (const auto& [known, type] : kTypes) {
        if (known == status) return type;
    }
    return status < 500 ? "invalid_request_error" : "api_error";
}

// What a body without words of its own says: plain text yes, a page for browsers no.
std::string message_of(unsigned status, std::string_view body) {
    body = without_blanks_in_front(body);
    if (body.empty() || body.size() > kQuotedBytesMax || body.front() == '<' ||
        body.front() == '{') {
        return fmt::format("The provider answered with status {}", status);
    }
    return fmt::format("The provider answered with status {}: {}", status, body);
}

}  // namespace

LocalError error_to_anthropic(JsonReader& reader, unsigned status, std::string_view body) {
    Words words = read_words(reader, body);
    LocalError error;
    error.status = status >= 400 ? status : status_of(words);
    // OpenAI's 503 says what Anthropic's 529 does; and a used-up balance comes with a 429, which
    // nobody should retry.
    if (error.status == 503) error.status = 529;
    if (is_any_of(words, {"insufficient_quota", "billing_not_active"})) error.status = 402;
    error.message = words.message.empty() ? message_of(error.status, body) : words.message;
    bool too_long = is_any_of(
        words,
        {"context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded"}
    );
    // Inside of a success there may be no status to go by.
    bool may_be_long = error.status == 400 || error.status == 413 || error.status == 422 ||
                       (status < 400 && error.status == 500);
    if (may_be_long || too_long) {
        if (std::string said = context_length_message(words.message, too_long); !said.empty()) {
            error.status = 400;
            error.message = std::move(said);
        }
    }
    error.type = type_of(error.status);
    return error;
}

}  // namespace balancer::wire::convert
