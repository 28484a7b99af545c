#include "dataplane/wire/convert/json_walk.hpp"

#include <fmt/format.h>

#include <charconv>

#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/convert/json_text.hpp"
#include "dataplane/wire/parser_tables.hpp"

namespace balancer::wire::convert {
namespace {

// Without the white space that simdjson leaves behind a token.
std::string_view trimmed(std::string_view token) {
    return token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
}

}  // namespace

JsonReader::JsonReader() : walk_(std::make_unique<Walk>()) {}
JsonReader::~JsonReader() = default;

std::string_view JsonReader::Walk::copy(std::string_view text) {
    give_up_huge_copy(copy_, text.size());
    copy_.reserve(text.size() + kBodyPadding);
    copy_.assign(text);
    return copy_;
}

bool JsonReader::Walk::open_object(std::string_view text, ondemand::object& root) {
    levels_ = 0;
    failed_ = false;
    error_ = {};
    give_up_huge_tables(parser_, text.size());
    if (text.empty()) {
        refuse(invalid("The body is empty; it must be a JSON object"));
        return false;
    }
    simdjson::padded_string_view padded(text.data(), text.size(), text.size() + kBodyPadding);
    if (fails(parser_.iterate(padded).get(document_))) return false;
    simdjson::error_code code = document_.get_object().get(root);
    if (code == simdjson::INCORRECT_TYPE) {
        refuse(invalid("The body must be a JSON object"));
        return false;
    }
    return !fails(code);
}

Result<void> JsonReader::Walk::close() {
    const char* rest = nullptr;
    if (!failed_ && document_.current_location().get(rest) == simdjson::SUCCESS) {
        refuse(invalid("The body is not valid JSON: text behind its end"));
    }
    if (failed_) return error_;
    return {};
}

bool JsonReader::Walk::fails(simdjson::error_code code) {
    if (code == simdjson::SUCCESS) return false;
    refuse(invalid(fmt::format("The body is not valid JSON: {}", simdjson::error_message(code))));
    return true;
}

void JsonReader::Walk::refuse(const Place& place, std::string_view why) {
    refuse(invalid(fmt::format("{}: {}", place.text(), why)));
}

void JsonReader::Walk::refuse(Error error) {
    if (failed_) return;
    failed_ = true;
    error_ = std::move(error);
}

JsonKind JsonReader::Walk::kind(Value& value) {
    ondemand::json_type type;
    if (failed_ || fails(value.type().get(type))) return JsonKind::kNull;
    switch (type) {
        case ondemand::json_type::object:
            return JsonKind::kObject;
        case ondemand::json_type::array:
            return JsonKind::kArray;
        case ondemand::json_type::string:
            return JsonKind::kString;
        case ondemand::json_type::number:
            return JsonKind::kNumber;
        case ondemand::json_type::boolean:
            return JsonKind::kBool;
        default:
            return JsonKind::kNull;
    }
}

// A name is compared as it is written: one with escapes is none that we know.
std::string_view JsonReader::Walk::name_of(ondemand::field& field) {
    const char* begin = field.key().raw();
    const char* end = begin;
    bool escaped = false;
    while (*end != '"') {
        escaped = escaped || *end == '\\';
        end += *end == '\\' ? 2 : 1;
    }
    std::string_view name(begin, static_cast<std::size_t>(end - begin));
    if (escaped && !has_good_escapes(name))
        refuse(invalid("The body is not valid JSON: a bad escape in a name"));
    return name;
}

std::string_view JsonReader::Walk::raw_scalar(Value& value) {
    JsonKind what = kind(value);
    if (failed_ || what == JsonKind::kObject || what == JsonKind::kArray) return {};
    std::string_view token = trimmed(value.raw_json_token());
    bool good = false;
    switch (what) {
        case JsonKind::kString:
            good = token.size() >= 2 && token.back() == '"' && has_good_escapes(inside_of(token));
            break;
        case JsonKind::kNumber:
            good = is_json_number(token);
            break;
        case JsonKind::kBool:
            good = token == "true" || token == "false";
            break;
        default:
            good = token == "null";
            break;
    }
    // A string that is only looked at counts as a name where a colon follows it, and `"a":"b":1`
    // would pass.
    ondemand::raw_json_string consumed;
    if (good && what == JsonKind::kString && fails(value.get_raw_json_string().get(consumed)))
        return {};
    if (good) return token;
    refuse(invalid("The body is not valid JSON: a malformed value"));
    return {};
}

std::string_view JsonReader::Walk::raw(Value& value) {
    JsonKind what = kind(value);
    if (failed_) return {};
    if (what != JsonKind::kObject && what != JsonKind::kArray) return raw_scalar(value);
    const char* begin = value.raw_json_token().data();
    if (what == JsonKind::kObject) {
        members(value, [this](std::string_view, Value& member) { raw(member); });
    } else {
        elements(value, [this](std::size_t, Value& element) { raw(element); });
    }
    return text_since(begin);
}

std::string_view JsonReader::Walk::text_since(const char* begin) {
    const char* end = nullptr;
    if (failed_ || fails(document_.current_location().get(end))) return {};
    // What follows is the next token of the object or array around us.
    return trimmed({begin, static_cast<std::size_t>(end - begin)});
}

std::string_view JsonReader::Walk::string(Value& value) {
    return kind(value) == JsonKind::kString ? inside_of(raw_scalar(value)) : std::string_view();
}

std::uint64_t JsonReader::Walk::count(Value& value) {
    std::string_view text = raw_scalar(value);
    std::uint64_t number = 0;
    auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    return problem == std::errc() && end == text.data() + text.size() ? number : 0;
}

bool JsonReader::Walk::read_one(std::string_view text, JsonKind& what, std::string_view& found) {
    give_up_huge_copy(wrapped_, text.size());
    wrapped_.reserve(text.size() + 8 + kBodyPadding);
    // In an object of one member: simdjson treats a lone scalar differently.
    wrapped_.assign("{\"\":").append(text).append("}");
    std::size_t members_seen = 0;
    Result<void> read = read_object(wrapped_, [&](std::string_view, Value& value) {
        ++members_seen;
        what = kind(value);
        found = raw(value);
    });
    return read && members_seen == 1;
}

}  // namespace balancer::wire::convert
