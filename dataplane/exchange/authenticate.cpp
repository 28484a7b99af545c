// Who may come in: client keys, in either header that clients use.
#include <fmt/format.h>

#include "base/file.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/wire/upstream_head.hpp"

namespace balancer::dataplane {
namespace {

// All known keys are compared, so that the time tells nothing of which one matched.
const ClientKey* find_key(const std::vector<ClientKey>& known, std::string_view presented) {
    std::string digest = sha256(presented);
    const ClientKey* matched = nullptr;
    for (const ClientKey& key : known) {
        if (equal_in_constant_time(key.sha256, digest)) matched = &key;
    }
    return matched;
}

}  // namespace

// Also looks at the credentials of a path that needs none, and of a caller who is in already: no key of ours may go on to a
// passthrough provider.
Exchange::Refusal Exchange::authenticate() {
    if (!settings().auth_enabled) return {};
    bool presented = false;
    for (const wire::HeaderField& field : head_.fields) {
        bool bearer = wire::equals_lower(field.name, "authorization");
        if (!bearer && !wire::equals_lower(field.name, "x-api-key")) continue;
        std::string_view key = bearer ? wire::bearer_value(field.value) : field.value;
        if (key.empty()) continue;
        presented = true;
        const ClientKey* matched = find_key(settings().client_keys, key);
        if (matched == nullptr) continue;
        balancer_keys_.push_back(field.value);
        if (record_.client_key.empty()) record_.client_key = matched->name;
    }
    if (!balancer_keys_.empty()) return {};
    if (settings().exempt_paths.contains(std::string(head_.path))) return {};
    // A browser on its way back from a login has no key. It has the login's state, which only who may come in was given.
    if (is_login_callback(head_.path)) return {};
    wire::LocalError error;
    error.status = 401;
    error.type = "authentication_error";
    error.code = "AUTH_FAILED";
    bool openai = format_ == wire::Format::kOpenai;
    error.message = presented
                        ? fmt::format(
                              "The balancer does not know this API key: check {} against the balancer's auth.api_keys.",
                              openai ? "OPENAI_API_KEY" : "ANTHROPIC_AUTH_TOKEN or ANTHROPIC_API_KEY"
                          )
                        : fmt::format(
                              "The balancer asks for an API key: set {} to one of its auth.api_keys.",
                              openai ? "OPENAI_API_KEY" : "ANTHROPIC_AUTH_TOKEN"
                          );
    error.retry = false;
    return LocalFailure{Outcome::kUnauthorized, std::move(error)};
}

}  // namespace balancer::dataplane
