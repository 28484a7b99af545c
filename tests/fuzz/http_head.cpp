// Heads: any split is scanned alike, and what is accepted is sent on as one unambiguous head.
#include "dataplane/wire/http_head.hpp"
#include "base/check.hpp"
#include "dataplane/wire/downstream_head.hpp"
#include "dataplane/wire/upstream_head.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

using wire::Framing;
using wire::HeadScan;

constexpr std::string_view kProviderKey = "provider-key";
constexpr std::string_view kBalancerKey = "balancer-key";

HeadScan scan_in_steps(std::string_view bytes, std::size_t step) {
    HeadScan scan;
    std::size_t have = 0;
    do {
        have = have + step < bytes.size() ? have + step : bytes.size();
        scan = wire::scan_head(bytes.substr(0, have), scan.scanned);
    } while (scan.state == HeadScan::State::kIncomplete && have < bytes.size());
    return scan;
}

void check_fields(const wire::HeaderFields& fields) {
    for (const wire::HeaderField& field : fields) {
        BALANCER_CHECK(!field.name.empty());
        BALANCER_CHECK(field.name.find_first_of(": \t") == std::string_view::npos);
        for (std::string_view part : {field.name, field.value}) {
            BALANCER_CHECK(
                part.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos
            );
        }
    }
}

std::size_t count(const wire::HeaderFields& fields, std::string_view lower_name) {
    std::size_t found = 0;
    for (const wire::HeaderField& field : fields)
        found += wire::equals_lower(field.name, lower_name);
    return found;
}

Provider make_provider(AuthType type) {
    Provider provider;
    provider.auth_type = type;
    provider.endpoint = Endpoint{false, "upstream", 80, "/base", "upstream"};
    if (type == AuthType::kApiKey) {
        provider.credential = Credential{"x-api-key", std::string(kProviderKey)};
    }
    return provider;
}

void check_upstream(const wire::RequestHead& client, const Provider& provider) {
    std::string out;
    std::vector<std::string_view> ours;
    for (const wire::HeaderField& field : client.fields) {
        if (wire::bearer_value(field.value) == kBalancerKey) ours.push_back(field.value);
    }
    wire::append_upstream_head(out, {client, provider, 42, ours});
    HeadScan scan = wire::scan_head(out, 0);
    BALANCER_CHECK(scan.state == HeadScan::State::kComplete && scan.size == out.size());
    Result<wire::RequestHead> sent = wire::parse_request_head(out);
    BALANCER_CHECK(sent.has_value());
    BALANCER_CHECK(sent->method == client.method && sent->query == client.query);
    BALANCER_CHECK(sent->path == "/base" + std::string(client.path));
    BALANCER_CHECK(sent->framing == Framing::kLength && sent->content_length == 42);
    BALANCER_CHECK(count(sent->fields, "host") == 1);
    BALANCER_CHECK(count(sent->fields, "accept-encoding") == 1);
    BALANCER_CHECK(count(sent->fields, "anthropic-version") > 0);
    BALANCER_CHECK(count(sent->fields, "connection") == 0);
    if (provider.auth_type == AuthType::kPassthrough) {
        for (std::string_view name : {"x-api-key", "authorization"}) {
            for (const wire::HeaderField& field : sent->fields) {
                if (!wire::equals_lower(field.name, name)) continue;
                BALANCER_CHECK(wire::bearer_value(field.value) != kBalancerKey);
            }
        }
    } else {
        BALANCER_CHECK(count(sent->fields, "authorization") == 0);
        BALANCER_CHECK(count(sent->fields, "x-api-key") == 1);
        BALANCER_CHECK(*wire::find_field(sent->fields, "x-api-key") == kProviderKey);
    }
}

void check_request(std::string_view head_bytes) {
    Result<wire::RequestHead> head = wire::parse_request_head(head_bytes);
    if (!head) {
        BALANCER_CHECK(!head.error().text().empty());
        return;
    }
    check_fields(head->fields);
    BALANCER_CHECK(head->path.starts_with('/'));
    BALANCER_CHECK((head->framing == Framing::kLength) == (head->content_length > 0));
    BALANCER_CHECK(head->framing != Framing::kUntilClose);
    static const Provider own_key = make_provider(AuthType::kApiKey);
    static const Provider passthrough = make_provider(AuthType::kPassthrough);
    check_upstream(*head, own_key);
    check_upstream(*head, passthrough);
}

void check_response(std::string_view head_bytes) {
    Result<wire::ResponseHead> head =
        wire::parse_response_head(head_bytes, wire::ResponseTo::kOther);
    if (!head) return;
    check_fields(head->fields);
    BALANCER_CHECK((head->framing == Framing::kLength) == (head->content_length > 0));
    Result<wire::ResponseHead> to_head =
        wire::parse_response_head(head_bytes, wire::ResponseTo::kHead);
    BALANCER_CHECK(to_head.has_value() && to_head->framing == Framing::kNone);
    if (head->status < 200) return;  // interim answers are not relayed
    std::string out;
    wire::append_relayed_head(out, *head, {Framing::kChunked, 0}, {"bal_1", "alpha", false});
    HeadScan scan = wire::scan_head(out, 0);
    BALANCER_CHECK(scan.state == HeadScan::State::kComplete && scan.size == out.size());
    Result<wire::ResponseHead> relayed = wire::parse_response_head(out, wire::ResponseTo::kOther);
    BALANCER_CHECK(relayed.has_value() && relayed->status == head->status);
    BALANCER_CHECK(count(relayed->fields, "content-length") == 0);
    BALANCER_CHECK(count(relayed->fields, "transfer-encoding") == 1);
    BALANCER_CHECK(count(relayed->fields, "x-provider-used") == 1);
    BALANCER_CHECK(count(relayed->fields, "x-balancer-request-id") == 1);
}

}  // namespace

void http_head(std::string_view bytes) {
    HeadScan whole = wire::scan_head(bytes, 0);
    for (std::size_t step : {1 + bytes.size() % 3, 1 + bytes.size() % 17}) {
        HeadScan stepped = scan_in_steps(bytes, step);
        BALANCER_CHECK(stepped.state == whole.state && stepped.size == whole.size);
        BALANCER_CHECK(stepped.problem == whole.problem);
    }
    if (whole.state != HeadScan::State::kComplete) return;
    BALANCER_CHECK(whole.size <= bytes.size());
    check_request(bytes.substr(0, whole.size));
    check_response(bytes.substr(0, whole.size));
}

}  // namespace balancer::fuzz
