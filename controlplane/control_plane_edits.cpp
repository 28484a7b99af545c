// What an operator changes by hand.
#include <fmt/format.h>

#include <algorithm>

#include "controlplane/control_plane.hpp"

namespace balancer::controlplane {
namespace {

// Routes that nobody can serve now: allowed, but not to be done unawares.
void add_deserted_routes(const v1::ConfigSection& config, v1::ChangeResponse& response) {
    for (const v1::Route& route : config.routes()) {
        bool served = std::any_of(
            route.targets().begin(),
            route.targets().end(),
            [&](const v1::RouteTarget& target) {
                const v1::Provider* provider = find_provider(config, target.provider());
                return target.enabled() && provider != nullptr && provider->enabled();
            }
        );
        if (served) continue;
        response.add_warnings(fmt::format("route '{}' has no enabled provider", route.pattern()));
    }
}

}  // namespace

Result<void> ControlPlane::check_change(const v1::Provider& provider, bool enabled) const {
    if (!enabled && count_enabled(config_) == 1) {
        return invalid(fmt::format(
            "'{}' is the last enabled provider: without it nobody could answer; enable another one "
            "first",
            provider.name()
        ));
    }
    if (enabled && !provider.credential_ref().empty()) {
        const auto& all = loaded_.credentials.credentials();
        bool found = std::any_of(all.begin(), all.end(), [&](const v1::Credential& credential) {
            return credential.ref() == provider.credential_ref();
        });
        if (!found) {
            return invalid(fmt::format(
                "'{}' has no credential: give its auth_value in {} and reload",
                provider.name(),
                options_.config_file.string()
            ));
        }
    }
    return {};
}

Result<v1::ChangeResponse> ControlPlane::set_provider_enabled(
    const v1::SetProviderEnabledRequest& request
) {
    const v1::Provider* provider = find_provider(config_, request.name());
    if (provider == nullptr) return unknown_provider(request.name());
    const char* word = request.enabled() ? "enabled" : "disabled";
    v1::ChangeResponse response;
    if (provider->enabled() == request.enabled()) {
        *response.mutable_version() = publisher_.head();
        response.set_message(fmt::format("'{}' is {} already", request.name(), word));
        return response;
    }
    if (Result<void> good = check_change(*provider, request.enabled()); !good) return good.error();

    bool in_file = find_provider(loaded_.config, request.name())->enabled();
    Override entry{
        request.name(),
        request.enabled(),
        in_file,
        request.context().reason(),
        request.context().actor(),
        unix_now(),
    };
    Result<void> stored = in_file == request.enabled() ? store_.drop_override(entry.provider)
                                                       : store_.put_override(entry);
    if (!stored) return stored.error();
    std::erase_if(overrides_, [&](const Override& o) { return o.provider == entry.provider; });
    if (in_file != request.enabled()) overrides_.push_back(std::move(entry));
    config_ = apply_overrides(loaded_.config, overrides_).config;
    publisher_.publish_config(
        config_, loaded_.credentials, fmt::format("'{}' {} by hand", request.name(), word)
    );
    *response.mutable_version() = publisher_.head();
    response.set_changed(true);
    response.set_message(fmt::format("'{}' is {}", request.name(), word));
    add_deserted_routes(config_, response);
    return response;
}

Result<v1::ChangeResponse> ControlPlane::reset_provider(const v1::ResetProviderRequest& request) {
    bool clean = true;
    const v1::HealthSection before = merger_.section(unix_now());
    for (const v1::ProviderHealth& entry : before.providers()) {
        if (entry.provider() != request.name()) continue;
        clean = clean && entry.failure_count() == 0 && entry.circuit() == v1::CIRCUIT_CLOSED;
    }
    if (!merger_.reset(request.name(), unix_now())) return unknown_provider(request.name());
    // Published even when the fleet had nothing against it: a data plane may have, on its own.
    publish_health(fmt::format("'{}' reset by hand", request.name()));
    v1::ChangeResponse response;
    *response.mutable_version() = publisher_.head();
    response.set_changed(!clean);
    response.set_message(fmt::format(
        "'{}' {}", request.name(), clean ? "had nothing against it" : "has a clean record again"
    ));
    return response;
}

}  // namespace balancer::controlplane
