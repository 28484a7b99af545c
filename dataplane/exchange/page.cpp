// The client port's own pages, and management paths that the control plane answers.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/net.hpp"
#include "base/utf8.hpp"
#include "dataplane/exchange/elsewhere.hpp"
#include "dataplane/exchange/exchange.hpp"

namespace balancer::dataplane {
namespace {

constexpr std::uint64_t kManagementBodyMax = 1U << 20;

// Of what the control plane answers, some is for browsers. Codes and states of logins stand in the address, so the next page
// is not told it; nothing is loaded, run, framed or sent.
constexpr std::string_view kBrowserLines =
    "referrer-policy: no-referrer\r\n"
    "content-security-policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n"
    "x-content-type-options: nosniff\r\n";

std::size_t count_healthy(const Snapshot& snapshot, const HealthView& health) {
    std::size_t healthy = 0;
    for (const auto& provider : snapshot.providers) {
        if (!health.benched(provider->slot)) ++healthy;
    }
    return healthy;
}

}  // namespace

net::awaitable<void> Exchange::serve_page() {
    record_.outcome = Outcome::kLocal;
    std::size_t healthy = count_healthy(*snapshot_, *health_);
    if (operation_ == Operation::kInfo) {
        std::string body = "{\"service\":";
        append_json_string(body, settings().app_name);
        body += ",\"version\":";
        append_json_string(body, settings().app_version);
        body += fmt::format(
            ",\"status\":\"{}\",\"providers_available\":{}}}", healthy > 0 ? "healthy" : "unhealthy", healthy
        );
        co_return co_await reply(200, "application/json", body);
    }
    if (operation_ == Operation::kHealth) {
        if (healthy > 0) co_return co_await reply(200, "application/json", "{\"status\":\"healthy\"}");
        co_return co_await reply(
            503,
            "application/json",
            "{\"status\":\"unhealthy\",\"message\":\"no enabled provider is healthy; see GET /providers\"}"
        );
    }
    if (operation_ == Operation::kManagement) co_return co_await relay_to_control_plane();
    if (head_.path == "/v1/messages" || format_ == wire::Format::kOpenai) {
        co_return co_await fail(refusal(405, "invalid_request_error", fmt::format("{} takes POST.", head_.path)));
    }
    co_return co_await fail(refusal(
        404,
        "not_found_error",
        fmt::format("The balancer does not serve {} {}.", head_.method, head_.path.substr(0, 200))
    ));
}

net::awaitable<void> Exchange::relay_to_control_plane() {
    Refusal unread = co_await read_body(std::min(kManagementBodyMax, settings().body_bytes));
    if (client_gone_) co_return;
    if (unread) co_return co_await fail(*std::move(unread));

    Elsewhere<ManageAnswer> managed(worker_.context);
    // gRPC takes no other text than UTF-8.
    auto header = [&](std::string_view name) { return to_utf8(wire::find_field(head_.fields, name).value_or("")); };
    ManageCall call{
        std::string(head_.method),
        to_utf8(head_.path),
        to_utf8(head_.query.empty() ? head_.query : head_.query.substr(1)),
        std::string(body_.view()),
        std::string(record_.client_key),
        record_.remote,
        header("host"),
        header("accept"),
        header("origin"),
        header("sec-fetch-site"),
    };
    worker_.process.manage(std::move(call), managed.taker());
    co_await managed.wait(SweepEntry::kNever);
    const ManageAnswer& answer = *managed.answer();
    record_.outcome = Outcome::kLocal;
    if (answer.status != 0) {
        std::string lines;
        if (!answer.allow.empty()) lines = "allow: " + answer.allow + "\r\n";
        if (!answer.location.empty()) lines += "location: " + answer.location + "\r\n";
        lines += kBrowserLines;
        co_return co_await reply(answer.status, answer.content_type, answer.body, lines);
    }
    LocalFailure failure = refusal(
        503, "api_error", "This page is the control plane's, and " + answer.body
    );
    failure.error.code = "CONTROL_PLANE_UNAVAILABLE";
    failure.outcome = Outcome::kLocal;
    co_await fail(std::move(failure));
}

}  // namespace balancer::dataplane
