#include "dataplane/wire/downstream_head.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/status.hpp>

namespace balancer::wire {
namespace {

void append_status_line(std::string& out, unsigned status) {
    auto reason = boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(status));
    std::string_view words(reason.data(), reason.size());
    if (words == "<unknown-status>") words = status == 529 ? "Overloaded" : "Status";
    fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", status, words);
}

// Said by append_own: a provider that is a balancer too says the same of its own.
bool is_ours(std::string_view name) {
    return equals_lower(name, "content-length") || equals_lower(name, "x-provider-used") ||
           equals_lower(name, "x-balancer-request-id") || equals_lower(name, "x-balancer-coalesced");
}

void append_own(std::string& out, const BodyFraming& body, const OwnHeaders& own) {
    if (body.framing == Framing::kChunked) {
        out.append("transfer-encoding: chunked\r\n");
    } else if (body.framing == Framing::kLength) {
        fmt::format_to(std::back_inserter(out), "content-length: {}\r\n", body.content_length);
    }
    out.append("x-balancer-request-id: ").append(own.request_id).append("\r\n");
    if (!own.provider.empty()) {
        out.append("x-provider-used: ").append(own.provider).append("\r\n");
    }
    if (!own.coalesced.empty()) {
        out.append("x-balancer-coalesced: ").append(own.coalesced).append("\r\n");
    }
    out.append(own.close ? "connection: close\r\n" : "connection: keep-alive\r\n");
}

}  // namespace

void append_relayed_head(
    std::string& out, const ResponseHead& upstream, const BodyFraming& body, const OwnHeaders& own
) {
    append_status_line(out, upstream.status);
    for (const HeaderField& field : upstream.fields) {
        if (is_ours(field.name) || is_hop_by_hop(field.name, upstream.fields)) continue;
        out.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    append_own(out, body, own);
    out.append("\r\n");
}

void append_local_head(
    std::string& out,
    unsigned status,
    std::string_view content_type,
    const BodyFraming& body,
    const OwnHeaders& own
) {
    append_status_line(out, status);
    out.append("content-type: ").append(content_type).append("\r\ncache-control: no-store\r\n");
    append_own(out, body, own);
    out.append("\r\n");
}

std::string error_reply(Format format, const LocalError& error, const OwnHeaders& own, bool head_only) {
    std::string body = error_json(format, error, own.request_id);
    std::string out;
    append_local_head(
        out, status_of(format, error), "application/json", {Framing::kLength, body.size()}, own
    );
    out.resize(out.size() - 2);
    if (error.retry_after_seconds) {
        long shown = std::clamp(*error.retry_after_seconds, 1L, long{kRetryAfterMaxSeconds});
        fmt::format_to(std::back_inserter(out), "retry-after: {}\r\n", shown);
    }
    if (!error.retry) out.append("x-should-retry: false\r\n");
    out.append("\r\n");
    if (!head_only) out.append(body);
    return out;
}

}  // namespace balancer::wire
