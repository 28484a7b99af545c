#include "dataplane/wire/error_body.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "dataplane/wire/openai_error.hpp"

namespace balancer::wire {
namespace {

void member(std::string& out, std::string_view name, std::string_view value) {
    if (out.back() != '{') out.push_back(',');
    append_json_string(out, name);
    out.push_back(':');
    append_json_string(out, value);
}

void number(std::string& out, std::string_view name, long value) {
    if (out.back() != '{') out.push_back(',');
    append_json_string(out, name);
    fmt::format_to(std::back_inserter(out), ":{}", value);
}

void attempts(std::string& out, const std::vector<AttemptNote>& notes) {
    if (notes.empty()) return;
    if (out.back() != '{') out.push_back(',');
    out.append("\"attempts\":[");
    for (const AttemptNote& note : notes) {
        if (out.back() != '[') out.push_back(',');
        out.push_back('{');
        member(out, "provider", note.provider);
        member(out, "failure", name_of(note.failure));
        if (note.http_status != 0) number(out, "status", static_cast<long>(note.http_status));
        if (!note.detail.empty()) member(out, "detail", note.detail);
        out.push_back('}');
    }
    out.push_back(']');
}

}  // namespace

unsigned status_of(Format format, const LocalError& error) {
    return format == Format::kOpenai ? openai_status_of(error) : error.status;
}

void append_error_details(std::string& out, const LocalError& error) {
    if (error.provider.empty() && !error.retry_after_seconds && error.attempts.empty()) return;
    out.append(",\"details\":{");
    if (!error.provider.empty()) member(out, "provider", error.provider);
    if (error.retry_after_seconds) number(out, "retry_after", *error.retry_after_seconds);
    attempts(out, error.attempts);
    out.push_back('}');
}

std::string error_json(Format format, const LocalError& error, std::string_view request_id) {
    std::string out;
    if (format == Format::kOpenai) {
        append_openai_error(out, error, request_id);
        return out;
    }
    out = "{\"type\":\"error\",\"error\":{";
    member(out, "type", error.type);
    member(out, "message", error.message);
    if (!error.code.empty()) member(out, "code", error.code);
    append_error_details(out, error);
    out.push_back('}');
    member(out, "request_id", request_id);
    out.push_back('}');
    return out;
}

std::string error_event(Format format, const LocalError& error, std::string_view request_id) {
    if (format == Format::kOpenai) return "data: " + error_json(format, error, request_id) + "\n\n";
    std::string out = "event: error\ndata: {\"type\":\"error\",\"error\":{";
    member(out, "type", error.type);
    member(out, "message", error.message);
    out.push_back('}');
    member(out, "request_id", request_id);
    out.append("}\n\n");
    return out;
}

std::string error_event_of(Format format, std::string_view json) {
    std::string out = format == Format::kOpenai ? "" : "event: error\n";
    while (!json.empty()) {
        std::size_t end = std::min(json.find_first_of("\r\n"), json.size());
        if (end > 0) out.append("data: ").append(json.substr(0, end)).append("\n");
        json.remove_prefix(std::min(end + 1, json.size()));
    }
    out.append("\n");
    return out;
}

std::string_view ping_of(Format format) {
    return format == Format::kOpenai ? ": ping\n\n" : "event: ping\ndata: {\"type\":\"ping\"}\n\n";
}

}  // namespace balancer::wire
