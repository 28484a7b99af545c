#include "dataplane/wire/body_scan.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>

#include "base/log.hpp"
#include "dataplane/wire/parser_tables.hpp"

namespace balancer::wire {
namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::error_code;

Error syntax_error(error_code code) {
    return invalid(fmt::format("The request body is not valid JSON: {}", simdjson::error_message(code)));
}

// Without the white space that simdjson leaves behind a value.
std::string_view trimmed(std::string_view value) {
    return value.substr(0, value.find_last_not_of(" \t\r\n") + 1);
}

ByteSpan span_of(std::string_view token, const char* base) {
    token = trimmed(token);
    std::size_t begin = static_cast<std::size_t>(token.data() - base);
    return {begin, begin + token.size()};
}

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// From the key's opening quote to the value's end, with the comma behind it or, for the last member, the one before.
ByteSpan member_span(std::string_view body, std::size_t key_begin, ByteSpan value) {
    std::size_t end = value.end;
    while (end < body.size() && is_space(body[end])) ++end;
    if (end < body.size() && body[end] == ',') return {key_begin, end + 1};
    std::size_t begin = key_begin;
    while (begin > 0 && is_space(body[begin - 1])) --begin;
    if (begin > 0 && body[begin - 1] == ',') return {begin - 1, value.end};
    return {key_begin, value.end};
}

// The key's insides and the value of a member; `begin` is at the key's opening quote, `end` somewhere behind the value, with
// nothing but white space and one comma between.
BodyMember member_of(std::string_view body, std::size_t begin, std::size_t end) {
    std::size_t quote = begin + 1;
    end = std::clamp(end, quote, body.size());
    while (quote < end && body[quote] != '"') quote += body[quote] == '\\' ? 2U : 1U;
    quote = std::min(quote, end);
    std::size_t value = std::min(quote + 1, end);
    while (value < end && (is_space(body[value]) || body[value] == ':')) ++value;
    while (end > value && (is_space(body[end - 1]) || body[end - 1] == ',')) --end;
    return {body.substr(begin + 1, quote - begin - 1), body.substr(value, end - value)};
}

// The object or array as raw JSON; empty for anything else.
error_code raw_of(ondemand::value value, std::string_view& raw) {
    ondemand::json_type type;
    if (error_code code = value.type().get(type)) return code;
    if (type == ondemand::json_type::array) {
        ondemand::array array;
        if (error_code code = value.get_array().get(array)) return code;
        return array.raw_json().get(raw);
    }
    if (type == ondemand::json_type::object) {
        ondemand::object object;
        if (error_code code = value.get_object().get(object)) return code;
        return object.raw_json().get(raw);
    }
    raw = value.raw_json_token();
    return simdjson::SUCCESS;
}

// The first message of the user, and in front of it the first one that instructs (of OpenAI's format; `system` is null else).
error_code find_first_messages(ondemand::value value, std::string_view& user, std::string_view* system) {
    ondemand::array messages;
    if (value.get_array().get(messages) != simdjson::SUCCESS) return simdjson::SUCCESS;
    for (auto element : messages) {
        ondemand::object message;
        if (error_code code = element.get_object().get(message)) {
            if (code == simdjson::INCORRECT_TYPE) continue;
            return code;
        }
        std::string_view role;
        if (message["role"].get_string().get(role) != simdjson::SUCCESS) continue;
        if (role == "user") return message.raw_json().get(user);
        bool instructs = role == "system" || role == "developer";
        if (system == nullptr || !system->empty() || !instructs) continue;
        if (error_code code = message.raw_json().get(*system)) return code;
    }
    return simdjson::SUCCESS;
}

error_code read_user_id(ondemand::value value, std::string& user_id) {
    ondemand::object metadata;
    if (value.get_object().get(metadata) != simdjson::SUCCESS) return simdjson::SUCCESS;
    std::string_view text;
    if (metadata["user_id"].get_string().get(text) == simdjson::SUCCESS) user_id = text;
    return simdjson::SUCCESS;
}

error_code read_thinking(ondemand::value value, bool& by_budget) {
    ondemand::object thinking;
    if (value.get_object().get(thinking) != simdjson::SUCCESS) return simdjson::SUCCESS;
    std::string_view type;
    by_budget = thinking["type"].get_string().get(type) == simdjson::SUCCESS && type == "enabled";
    return simdjson::SUCCESS;
}

}  // namespace

struct BodyScanner::Parser {
    ondemand::parser parser;
    std::string_view body;
    Format format = Format::kAnthropic;
    BodyFields fields;
    std::vector<std::size_t> keys;  // where each member begins
    bool has_model = false;
    bool has_stream = false;
    bool has_cache_key = false;

    Result<void> member(ondemand::field& field);
    void list_members();
    error_code anthropic_member(ondemand::field& field);
    error_code openai_member(ondemand::field& field);
    Result<void> read_model(ondemand::value value);
    Result<void> read_stream(ondemand::value value);
    Result<void> read_provider(std::size_t key_begin, ondemand::value value);
};

BodyScanner::BodyScanner() : parser_(std::make_unique<Parser>()) {}
BodyScanner::~BodyScanner() = default;

Result<void> BodyScanner::Parser::read_model(ondemand::value value) {
    if (has_model) return invalid("model: given twice");
    has_model = true;
    ondemand::json_type type;
    if (value.type().get(type) != simdjson::SUCCESS || type != ondemand::json_type::string) {
        return invalid("model: Input should be a valid string");
    }
    fields.model_value = span_of(value.raw_json_token(), body.data());
    std::string_view text;
    if (error_code code = value.get_string().get(text)) return syntax_error(code);
    if (text.empty()) return invalid("model: String should have at least 1 character");
    fields.model = text;
    return {};
}

Result<void> BodyScanner::Parser::read_stream(ondemand::value value) {
    if (has_stream) return invalid("stream: given twice");
    has_stream = true;
    bool is_null = false;
    if (value.is_null().get(is_null) == simdjson::SUCCESS && is_null) return {};
    if (value.get_bool().get(fields.stream) != simdjson::SUCCESS) {
        return invalid("stream: Input should be a valid boolean");
    }
    return {};
}

Result<void> BodyScanner::Parser::read_provider(std::size_t key_begin, ondemand::value value) {
    // A member of another type is not our pin; it is the provider's to judge.
    ondemand::json_type type;
    if (value.type().get(type) != simdjson::SUCCESS || type != ondemand::json_type::string) return {};
    if (fields.provider) return invalid("provider: given twice");
    ByteSpan span = span_of(value.raw_json_token(), body.data());
    std::string_view name;
    if (error_code code = value.get_string().get(name)) return syntax_error(code);
    fields.provider = std::string(name);
    fields.provider_member = member_span(body, key_begin, span);
    return {};
}

error_code BodyScanner::Parser::anthropic_member(ondemand::field& field) {
    auto key_is = [&](std::string_view name) { return field.key().unsafe_is_equal(name); };
    if (key_is("metadata")) return read_user_id(field.value(), fields.user_id);
    if (key_is("messages")) return find_first_messages(field.value(), fields.first_user_message, nullptr);
    if (key_is("system")) return raw_of(field.value(), fields.system);
    if (key_is("tools")) return raw_of(field.value(), fields.tools);
    if (key_is("thinking")) return read_thinking(field.value(), fields.thinks_by_budget);
    return simdjson::SUCCESS;
}

error_code BodyScanner::Parser::openai_member(ondemand::field& field) {
    auto key_is = [&](std::string_view name) { return field.key().unsafe_is_equal(name); };
    if (key_is("messages")) return find_first_messages(field.value(), fields.first_user_message, &fields.system);
    if (key_is("tools")) return raw_of(field.value(), fields.tools);
    // Made for what stickiness is for, and in the long run the one that replaces `user`.
    bool cache_key = key_is("prompt_cache_key");
    if (!cache_key && (!key_is("user") || has_cache_key)) return simdjson::SUCCESS;
    std::string_view text;
    if (field.value().get_string().get(text) != simdjson::SUCCESS || text.empty()) return simdjson::SUCCESS;
    fields.user_id = text;
    has_cache_key = cache_key;
    return simdjson::SUCCESS;
}

Result<void> BodyScanner::Parser::member(ondemand::field& field) {
    // Compared escaped: a key written with escapes is nothing that we route by.
    std::size_t key_begin = static_cast<std::size_t>(field.key().raw() - body.data()) - 1;
    keys.push_back(key_begin);
    auto key_is = [&](std::string_view name) { return field.key().unsafe_is_equal(name); };
    if (key_is("model")) return read_model(field.value());
    if (key_is("stream")) return read_stream(field.value());
    if (key_is("provider")) return read_provider(key_begin, field.value());
    error_code code = format == Format::kOpenai ? openai_member(field) : anthropic_member(field);
    if (code != simdjson::SUCCESS) return syntax_error(code);
    fields.system = trimmed(fields.system);
    fields.tools = trimmed(fields.tools);
    fields.first_user_message = trimmed(fields.first_user_message);
    return {};
}

// A member ends where the next one begins, so that nobody needs to look for its end.
void BodyScanner::Parser::list_members() {
    fields.members.reserve(keys.size());
    keys.push_back(body.rfind('}'));
    for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
        fields.members.push_back(member_of(body, keys[i], keys[i + 1]));
    }
}

Result<BodyFields> BodyScanner::scan(std::string_view body, Format format) {
    Parser& state = *parser_;
    give_up_huge_tables(state.parser, body.size());
    state.body = body;
    state.format = format;
    state.fields = BodyFields{};
    state.keys.clear();
    state.has_model = false;
    state.has_stream = false;
    state.has_cache_key = false;
    if (body.empty()) return invalid("The request body is empty; it must be a JSON object");
    simdjson::padded_string_view padded(body.data(), body.size(), body.size() + kBodyPadding);
    ondemand::document document;
    if (error_code code = state.parser.iterate(padded).get(document)) return syntax_error(code);
    ondemand::object object;
    if (error_code code = document.get_object().get(object)) {
        if (code == simdjson::INCORRECT_TYPE) {
            return invalid("The request body must be a JSON object");
        }
        return syntax_error(code);
    }
    for (auto result : object) {
        ondemand::field field;
        if (error_code code = std::move(result).get(field)) return syntax_error(code);
        Result<void> read = state.member(field);
        if (!read) return read.error();
    }
    const char* rest = nullptr;
    if (document.current_location().get(rest) == simdjson::SUCCESS) {
        return invalid("The request body is not valid JSON: text behind its end");
    }
    if (!state.has_model) return invalid("model: Field required");
    state.list_members();
    return std::move(state.fields);
}

bool is_whole_json(std::string_view body) {
    simdjson::dom::parser parser;
    return parser.parse(body.data(), body.size()).error() == simdjson::SUCCESS;
}

bool is_error_object(std::string_view body) {
    simdjson::padded_string padded(body);
    ondemand::parser parser;
    ondemand::document document;
    ondemand::object object;
    if (parser.iterate(padded).get(document) || document.get_object().get(object)) return false;
    for (auto result : object) {
        ondemand::field field;
        if (std::move(result).get(field)) return false;
        if (field.key().unsafe_is_equal("error")) {
            bool is_null = false;
            return field.value().is_null().get(is_null) == simdjson::SUCCESS && !is_null;
        }
        if (field.key().unsafe_is_equal("type")) {
            std::string_view type;
            if (field.value().get_string().get(type) == simdjson::SUCCESS && type == "error") {
                return true;
            }
        }
    }
    return false;
}

namespace {

// By iteration and not by key: a lookup after one that met malformed JSON crashes in simdjson.
void read_error_member(ondemand::object error, ErrorWords& words) {
    for (auto result : error) {
        ondemand::field field;
        if (std::move(result).get(field)) return;
        std::string* word = field.key().unsafe_is_equal("type")      ? &words.type
                            : field.key().unsafe_is_equal("message") ? &words.message
                                                                     : nullptr;
        std::string_view text;
        if (word != nullptr && field.value().get_string().get(text) == simdjson::SUCCESS) *word = text;
    }
}

}  // namespace

ErrorWords read_error_words(std::string_view body) {
    ErrorWords words;
    simdjson::padded_string padded(body);
    ondemand::parser parser;
    ondemand::document document;
    ondemand::object object;
    if (parser.iterate(padded).get(document) || document.get_object().get(object)) return words;
    for (auto result : object) {
        ondemand::field field;
        if (std::move(result).get(field)) return words;
        if (!field.key().unsafe_is_equal("error")) continue;
        ondemand::object inner;
        std::string_view text;
        if (field.value().get_object().get(inner) == simdjson::SUCCESS) {
            read_error_member(inner, words);
        } else if (field.value().get_string().get(text) == simdjson::SUCCESS) {
            words.message = text;
        }
        return words;
    }
    return words;
}

std::vector<BodyEdit> edits_of(const BodyFields& fields, std::string_view model, std::string& value) {
    std::vector<BodyEdit> edits;
    if (!model.empty()) {
        value.clear();
        append_json_string(value, model);
        edits.push_back({fields.model_value, value});
    }
    if (fields.provider) edits.push_back({fields.provider_member, {}});
    return edits;
}

std::vector<std::string_view> splice_body(std::string_view body, std::vector<BodyEdit> edits) {
    std::sort(edits.begin(), edits.end(), [](const BodyEdit& a, const BodyEdit& b) {
        return a.span.begin < b.span.begin;
    });
    std::vector<std::string_view> pieces;
    std::size_t at = 0;
    for (const BodyEdit& edit : edits) {
        if (edit.span.begin < at) continue;
        pieces.push_back(body.substr(at, edit.span.begin - at));
        if (!edit.with.empty()) pieces.push_back(edit.with);
        at = edit.span.end;
    }
    pieces.push_back(body.substr(at));
    return pieces;
}

}  // namespace balancer::wire
