// `balancerctl providers test`.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <exception>

#include "base/net.hpp"
#include "controlplane/config/find_provider.hpp"
#include "controlplane/control_plane.hpp"
#include "controlplane/test_answer.hpp"
#include "controlplane/test_request.hpp"

namespace balancer::controlplane {
namespace {

constexpr Milliseconds kTimeout{20'000};
constexpr Milliseconds kTimeoutMax{120'000};

net::awaitable<void> send(
    v1::ProviderProbe probe, HttpRequest request, std::string model, std::string provider, ControlPlane::TestDone done
) {
    SteadyTime began = steady_now();
    Result<HttpResponse> answer = co_await fetch(request);
    Milliseconds latency(elapsed_ms(began, steady_now()));
    v1::TestProviderResponse response = describe_test(probe, request, answer, latency, unix_now());
    response.set_model(std::move(model));
    response.set_provider(std::move(provider));
    done(std::move(response));
}

}  // namespace

// Of the accounts of a group, the first that can be asked; one that is held only when no other one can.
Result<const v1::Provider*> ControlPlane::provider_to_test(const std::string& name) const {
    const v1::Provider* provider = find_provider(published_, name);
    if (provider == nullptr) provider = find_provider(config_, name);
    if (provider == nullptr) return unknown_provider(name);
    if (provider->auth_type() != v1::AUTH_TYPE_OAUTH) return provider;
    const UnixMs at = unix_now();
    const v1::Provider* held = nullptr;
    std::string why;
    for (const v1::Provider& one : published_.providers()) {
        if (one.account().empty() || (one.name() != name && one.group() != name)) continue;
        const Account* account = custody_.find(one.account());
        if (account == nullptr || !is_usable(*account, at)) {
            const char* what = account == nullptr ? "is not logged in" : "has no token that works";
            why += fmt::format("{} {} {}", why.empty() ? ":" : ",", one.account(), what);
        } else if (account->held_until > at) {
            if (held == nullptr) held = &one;
        } else {
            return &one;
        }
    }
    if (held != nullptr) return held;
    if (why.empty()) why = ": nobody is logged in to it";
    return invalid(fmt::format("'{}' has no account that can be asked{}; see `balancerctl oauth status`", name, why));
}

void ControlPlane::test_provider(const v1::TestProviderRequest& request, TestDone done) {
    Result<const v1::Provider*> found = provider_to_test(request.name());
    if (!found) return done(found.error());
    const v1::Provider& provider = **found;
    std::string model = request.model().empty() ? model_for(published_, provider.name()) : request.model();
    if (model.empty()) model = model_for(config_, request.name());
    if (model.empty() && request.probe() != v1::PROVIDER_PROBE_MODELS) {
        return done(invalid(fmt::format(
            "no route names a model for '{}': say which one to ask for with --model NAME",
            request.name()
        )));
    }
    Milliseconds timeout =
        request.timeout_ms() == 0 ? kTimeout : Milliseconds(request.timeout_ms());
    v1::CredentialSection credentials = revisions_.loaded().credentials;
    custody_.add_credentials(credentials, [&](const std::string& account) { return account == provider.account(); });
    Result<HttpRequest> http =
        make_test_request(provider, credentials, model, request.probe(), std::min(timeout, kTimeoutMax));
    if (!http) return done(http.error());
    net::co_spawn(
        context_,
        send(request.probe(), *std::move(http), std::move(model), provider.name(), done),
        [this, done](const std::exception_ptr& escaped) {
            if (!escaped) return;
            log_.emit(LogLevel::kError, LogEvent::kTaskFailed, "a test request was lost");
            done(invalid("internal error; see the control plane's log"));
        }
    );
}

}  // namespace balancer::controlplane
