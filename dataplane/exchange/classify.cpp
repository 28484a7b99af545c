#include "dataplane/exchange/classify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/ascii.hpp"
#include "base/http_date.hpp"
#include "base/redact.hpp"
#include "base/utf8.hpp"
#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/upstream_head.hpp"

namespace balancer::dataplane {
namespace {

constexpr std::size_t kDetailBytesMax = 300;
constexpr std::size_t kQuotedBytesMax = 4096;
// Shorter header values are words that an error may well contain.
constexpr std::size_t kSecretBytesMin = 8;
// Beyond these a provider's time is no time; whatever is nearer fits into UnixMs.
constexpr double kWaitMsMax = 1e12;
constexpr std::int64_t kUnixSecondsMax = 100'000'000'000;

std::string shorten(std::string_view text) {
    // Cut last: half a key has no shape that is known.
    std::string out = to_utf8(redact(utf8_prefix(text, kQuotedBytesMax)));
    cut_utf8(out, kDetailBytesMax);
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    }
    return out;
}

// The provider's own words, fit for logs, pages and other clients: some repeat the key that they refuse, and not every
// key has a shape that redact() knows.
std::string quote(
    std::string_view words, const Provider& provider, std::span<const std::string_view> client_keys
) {
    std::string text(words.substr(0, kQuotedBytesMax));
    auto hide = [&text](std::string_view secret) {
        if (secret.size() < kSecretBytesMin) return;
        constexpr std::string_view kMark = "[redacted]";
        for (std::size_t at = text.find(secret); at != text.npos; at = text.find(secret, at + kMark.size())) {
            text.replace(at, secret.size(), kMark);
        }
    };
    if (provider.credential) hide(wire::bearer_value(provider.credential->header_value));
    for (const auto& [name, value] : provider.headers) hide(value);
    for (std::string_view key : client_keys) hide(key);
    return shorten(text);
}

// A body that is no error of the API is not quoted: some repeat the request, and prompts stay out of logs.
std::string describe(const wire::ResponseHead& head, std::string_view body) {
    if (body.empty()) return "an empty body";
    auto type = wire::find_field(head.fields, "content-type");
    return fmt::format("{} bytes of {}, no error of the API", body.size(), shorten(type.value_or("no type")));
}

// The text of the operator's pattern that matches, or nothing.
std::string matching_pattern(std::string_view body, const Settings& settings) {
    if (!settings.body_patterns) return {};
    std::vector<int> hits;
    if (!settings.body_patterns->Match(re2::StringPiece(body.data(), body.size()), &hits)) return {};
    if (hits.empty()) return {};
    return settings.body_pattern_texts[static_cast<std::size_t>(hits.front())];
}

template <class Number>
bool parse_number(std::string_view text, Number& value) {
    auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    return problem == std::errc() && end == text.data() + text.size();
}

// Seconds since 1970, or an RFC 3339 time in UTC.
UnixMs parse_reset(std::string_view text) {
    std::int64_t seconds = 0;
    if (parse_number(text, seconds)) return seconds > 0 && seconds < kUnixSecondsMax ? seconds * 1000 : 0;
    std::tm parts{};
    std::string copy(text);
    const char* end = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    return end == nullptr ? 0 : static_cast<UnixMs>(::timegm(&parts)) * 1000;
}

bool says_no_credit(std::string_view message) {
    std::string text = to_lower(message);
    return text.find("credit balance is too low") != std::string::npos ||
           text.find("insufficient credit") != std::string::npos ||
           text.find("insufficient_quota") != std::string::npos;
}

// The class that a status has by itself. kClient: the request is at fault.
FailureClass class_of_status(
    const wire::LocalError& told, const wire::ErrorWords& words, const Provider& provider
) {
    unsigned status = told.status;
    if (status == 529 || told.type == "overloaded_error") return FailureClass::kOverloaded;
    if (status == 429) return FailureClass::kRateLimited;
    if (status == 402 || says_no_credit(words.message) || says_no_credit(words.type)) {
        return FailureClass::kQuota;
    }
    if (status == 401 || status == 403) {
        return provider.auth_type == AuthType::kPassthrough ? FailureClass::kClient
                                                            : FailureClass::kAuth;
    }
    if (status == 408) return FailureClass::kTimeout;
    if (status >= 500) return FailureClass::kUpstream5xx;
    return FailureClass::kClient;
}

FailureClass class_of_type(std::string_view type, const Provider& provider) {
    if (type == "overloaded_error") return FailureClass::kOverloaded;
    if (type == "rate_limit_error") return FailureClass::kRateLimited;
    if (type == "billing_error") return FailureClass::kQuota;
    if (type == "authentication_error" || type == "permission_error") {
        return provider.auth_type == AuthType::kPassthrough ? FailureClass::kClient
                                                            : FailureClass::kAuth;
    }
    if (type == "invalid_request_error" || type == "not_found_error" || type == "request_too_large") {
        return FailureClass::kClient;
    }
    if (type == "timeout_error") return FailureClass::kTimeout;
    return FailureClass::kUpstream5xx;
}

}  // namespace

UnixMs retry_time(const wire::ResponseHead& head, UnixMs now) {
    UnixMs at = 0;
    if (auto text = wire::find_field(head.fields, "retry-after")) {
        double seconds = 0;
        if (parse_number(*text, seconds) && seconds >= 0 && seconds * 1000 < kWaitMsMax) {
            at = now + static_cast<UnixMs>(seconds * 1000);
        } else {
            at = parse_http_date(*text);
        }
    } else if (auto ms_text = wire::find_field(head.fields, "retry-after-ms")) {
        double ms = 0;
        if (parse_number(*ms_text, ms) && ms >= 0 && ms < kWaitMsMax) at = now + static_cast<UnixMs>(ms);
    }
    auto status = wire::find_field(head.fields, "anthropic-ratelimit-unified-status");
    auto reset = wire::find_field(head.fields, "anthropic-ratelimit-unified-reset");
    if (reset && status && wire::equals_lower(*status, "rejected")) {
        at = std::max(at, parse_reset(*reset));
    }
    return at > now ? at : 0;
}

Verdict classify_status(
    const wire::ResponseHead& head,
    std::string_view body,
    const wire::LocalError& told,
    const Provider& provider,
    const Settings& settings,
    UnixMs now,
    std::span<const std::string_view> client_keys
) {
    wire::ErrorWords words = wire::read_error_words(body);
    Verdict verdict;
    verdict.http_status = head.status;
    verdict.failure = class_of_status(told, words, provider);
    verdict.detail = words.message.empty() ? describe(head, body) : quote(words.message, provider, client_keys);
    verdict.retry_at = retry_time(head, now);
    bool listed = settings.http_codes.contains(head.status);
    std::string pattern = matching_pattern(body, settings);
    if (verdict.failure == FailureClass::kClient && (listed || !pattern.empty())) {
        verdict.failure = FailureClass::kPattern;
    }
    verdict.try_next = verdict.failure != FailureClass::kClient;
    // A rate limit without a reset says nothing about the next request, unless the operator lists it.
    verdict.counted = listed || !pattern.empty() ||
                      (verdict.try_next && verdict.failure != FailureClass::kRateLimited);
    return verdict;
}

Verdict classify_error_object(
    std::string_view json,
    const wire::LocalError& told,
    const Provider& provider,
    const Settings& settings,
    std::span<const std::string_view> client_keys
) {
    wire::ErrorWords words = wire::read_error_words(json);
    Verdict verdict;
    verdict.failure = class_of_type(told.type, provider);
    if (says_no_credit(words.message)) verdict.failure = FailureClass::kQuota;
    verdict.detail = quote(
        fmt::format("{} inside a 200 answer: {}", words.type.empty() ? "error" : words.type, words.message),
        provider,
        client_keys
    );
    bool pattern = !matching_pattern(json, settings).empty();
    if (verdict.failure == FailureClass::kClient && pattern) verdict.failure = FailureClass::kPattern;
    verdict.try_next = verdict.failure != FailureClass::kClient;
    verdict.counted = pattern || (verdict.try_next && verdict.failure != FailureClass::kRateLimited);
    return verdict;
}

Verdict classify_plain_body(std::string_view body, const Settings& settings) {
    Verdict verdict;
    std::string pattern = matching_pattern(body, settings);
    if (pattern.empty()) return verdict;
    verdict.failure = FailureClass::kPattern;
    verdict.counted = true;
    verdict.try_next = true;
    verdict.detail = fmt::format("a 200 answer of {} bytes matches '{}'", body.size(), pattern);
    return verdict;
}

Verdict classify_redirect(
    const wire::ResponseHead& head,
    const Provider& provider,
    const Settings& settings,
    std::span<const std::string_view> client_keys
) {
    std::string_view location = wire::find_field(head.fields, "location").value_or("nowhere");
    // What follows may repeat the request.
    location = location.substr(0, location.find_first_of("?#"));
    return classify_transport(
        FailureClass::kProtocol,
        fmt::format("redirect {} to {}: correct base_url", head.status, quote(location, provider, client_keys)),
        settings
    );
}

Verdict classify_transport(FailureClass failure, std::string detail, const Settings& settings) {
    Verdict verdict;
    verdict.failure = failure;
    verdict.try_next = true;
    verdict.counted = true;
    std::string text = to_lower(detail);
    auto hit = std::find_if(
        settings.exception_patterns.begin(),
        settings.exception_patterns.end(),
        [&](const std::string& pattern) { return text.find(pattern) != std::string::npos; }
    );
    if (hit != settings.exception_patterns.end()) detail += " (matches '" + *hit + "')";
    verdict.detail = shorten(detail);
    return verdict;
}

}  // namespace balancer::dataplane
