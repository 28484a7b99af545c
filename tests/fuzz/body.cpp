// Request bodies: what is scanned is what a full parser sees, and a spliced body is the same but
// for the model and the pin.
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/check.hpp"
#include "dataplane/wire/body_scan.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

using nlohmann::json;
using wire::BodyFields;

constexpr std::string_view kNewModel = "new \"model\" \xc3\xa9";

// Exactly the padding that is promised, on the heap: a read beyond it is seen by ASan. `filling`
// stands for whatever an uninitialised buffer may hold.
struct Padded {
    Padded(std::string_view bytes, std::string_view filling)
        : block(new char[bytes.size() + wire::kBodyPadding]), view(block.get(), bytes.size()) {
        std::memcpy(block.get(), bytes.data(), bytes.size());
        for (std::size_t i = 0; i < wire::kBodyPadding; ++i) {
            block[bytes.size() + i] = filling[i % filling.size()];
        }
    }
    std::unique_ptr<char[]> block;
    std::string_view view;
};

Result<BodyFields> scan(const Padded& body, wire::Format format) {
    static wire::BodyScanner scanner;
    return scanner.scan(body.view, format);
}

bool equal(const wire::ByteSpan& a, const wire::ByteSpan& b) {
    return a.begin == b.begin && a.end == b.end;
}

// All but the places of the two edits.
bool same_but_edits(const BodyFields& a, const BodyFields& b) {
    return a.stream == b.stream && a.user_id == b.user_id && a.system == b.system &&
           a.tools == b.tools && a.first_user_message == b.first_user_message &&
           a.members.size() - (a.provider ? 1 : 0) == b.members.size() - (b.provider ? 1 : 0);
}

std::string splice(std::string_view body, const BodyFields& fields, std::string_view model) {
    std::string replacement;
    std::string out;
    for (std::string_view piece : wire::splice_body(body, wire::edits_of(fields, model, replacement))) out += piece;
    return out;
}

void check_spans(std::string_view body, const BodyFields& fields) {
    BALANCER_CHECK(fields.model_value.begin < fields.model_value.end);
    BALANCER_CHECK(fields.model_value.end <= body.size());
    std::string_view model = body.substr(fields.model_value.begin, fields.model_value.size());
    json parsed = json::parse(model, nullptr, false);
    BALANCER_CHECK(parsed.is_string() && parsed.get<std::string>() == fields.model);
    if (!fields.provider) return;
    BALANCER_CHECK(fields.provider_member.begin < fields.provider_member.end);
    BALANCER_CHECK(fields.provider_member.end <= body.size());
    std::string_view member =
        body.substr(fields.provider_member.begin, fields.provider_member.size());
    BALANCER_CHECK(member.find("\"provider\"") != std::string_view::npos);
}

// Behind each other, inside of the body, and nothing but what may stand between two members left out.
void check_members(std::string_view body, const BodyFields& fields) {
    const char* at = body.data();
    bool has_model = false;
    for (const wire::BodyMember& member : fields.members) {
        BALANCER_CHECK(at < member.key.data() && member.key.data() + member.key.size() < member.value.data());
        std::string_view before(at, member.key.data() - at);
        BALANCER_CHECK(before.find_first_not_of(" \t\r\n,\"{") == std::string_view::npos);
        at = member.value.data() + member.value.size();
        BALANCER_CHECK(at < body.data() + body.size() && !member.value.empty());
        has_model = has_model || member.value.data() == body.data() + fields.model_value.begin;
    }
    BALANCER_CHECK(has_model);
    std::string_view rest = body.substr(at - body.data());
    BALANCER_CHECK(rest.find_first_not_of(" \t\r\n}") == std::string_view::npos);
}

void check_splice(std::string_view body, const BodyFields& fields, wire::Format format) {
    if (!fields.provider) BALANCER_CHECK(splice(body, fields, {}) == body);
    std::string out = splice(body, fields, kNewModel);
    Padded padded(out, "\"");
    Result<BodyFields> again = scan(padded, format);
    BALANCER_CHECK(again.has_value());
    BALANCER_CHECK(again->model == kNewModel && !again->provider);
    BALANCER_CHECK(same_but_edits(fields, *again));
    // With the model put back, only the pin is missing.
    std::string_view model = body.substr(fields.model_value.begin, fields.model_value.size());
    std::string back = out.substr(0, again->model_value.begin);
    back.append(model).append(out, again->model_value.end);
    BALANCER_CHECK(back == splice(body, fields, {}));
}

// How often each key that we read stands in the outermost object.
struct Keys {
    unsigned model = 0;
    unsigned stream = 0;
    unsigned provider = 0;
    unsigned metadata = 0;
    unsigned user_id = 0;
};

json parse_counting(std::string_view body, Keys& keys) {
    auto count = [&keys](int depth, json::parse_event_t event, json& value) {
        if (event != json::parse_event_t::key) return true;
        if (depth == 2 && value == "user_id") ++keys.user_id;
        if (depth != 1) return true;
        keys.model += value == "model";
        keys.stream += value == "stream";
        keys.provider += value == "provider";
        keys.metadata += value == "metadata";
        return true;
    };
    return json::parse(body, count, false);
}

// Against nlohmann::json, where both must agree: valid JSON, keys of ours at most once and without
// escapes.
void check_against_full_parser(std::string_view body, const Result<BodyFields>& fields, wire::Format format) {
    constexpr std::string_view kNotAlike("\\\0", 2);  // escapes in keys; nlohmann ends at a NUL
    if (body.find_first_of(kNotAlike) != std::string_view::npos) return;
    if (body.starts_with("\xef\xbb\xbf")) return;
    Keys keys;
    json full = parse_counting(body, keys);
    if (full.is_discarded() || !full.is_object()) return;
    if (keys.model != 1 || keys.stream > 1 || keys.provider > 1) return;
    bool good_model = full["model"].is_string() && full["model"] != "";
    bool good_stream = keys.stream == 0 || full["stream"].is_boolean() || full["stream"].is_null();
    BALANCER_CHECK(fields.has_value() == (good_model && good_stream));
    if (!fields) return;
    BALANCER_CHECK(full["model"] == fields->model);
    BALANCER_CHECK(fields->stream == (keys.stream == 1 && full["stream"] == true));
    bool pinned = keys.provider == 1 && full["provider"].is_string();
    BALANCER_CHECK(fields->provider.has_value() == pinned);
    if (pinned) BALANCER_CHECK(full["provider"] == *fields->provider);
    bool anthropic = format == wire::Format::kAnthropic;
    if (anthropic && keys.metadata == 1 && keys.user_id == 1 && full["metadata"].is_object()) {
        json user = full["metadata"].value("user_id", json());
        BALANCER_CHECK(fields->user_id == (user.is_string() ? user.get<std::string>() : ""));
    }
    json expected = full;
    expected["model"] = kNewModel;
    if (pinned) expected.erase("provider");
    BALANCER_CHECK(json::parse(splice(body, *fields, kNewModel), nullptr, false) == expected);
    json members = json::object();
    for (const wire::BodyMember& member : fields->members) {
        members[std::string(member.key)] = json::parse(member.value, nullptr, false);
    }
    BALANCER_CHECK(members == full);
}

void check_scan(std::string_view bytes, wire::Format format) {
    Padded zeros(bytes, std::string_view("\0", 1));
    Padded hostile(bytes, "\"}],\\ \xff");
    Result<BodyFields> fields = scan(zeros, format);
    Result<BodyFields> other = scan(hostile, format);
    BALANCER_CHECK(fields.has_value() == other.has_value());
    if (fields) {
        BALANCER_CHECK(fields->model == other->model && fields->provider == other->provider);
        BALANCER_CHECK(equal(fields->model_value, other->model_value));
        BALANCER_CHECK(equal(fields->provider_member, other->provider_member));
        BALANCER_CHECK(same_but_edits(*fields, *other));
        check_spans(zeros.view, *fields);
        check_members(zeros.view, *fields);
        check_splice(zeros.view, *fields, format);
    } else {
        BALANCER_CHECK(!fields.error().text().empty());
    }
    check_against_full_parser(zeros.view, fields, format);
}

}  // namespace

void body(std::string_view bytes) {
    check_scan(bytes, wire::Format::kAnthropic);
    check_scan(bytes, wire::Format::kOpenai);
    wire::is_error_object(bytes);
    wire::read_error_words(bytes);
}

}  // namespace balancer::fuzz
