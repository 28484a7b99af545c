// `balancerctl providers test`.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <exception>

#include "base/net.hpp"
#include "controlplane/config/find_provider.hpp"
#include "controlplane/control_plane.hpp"
#include "controlplane/test_request.hpp"

namespace balancer::controlplane {
namespace {

constexpr Milliseconds kTimeout{20'000};
constexpr Milliseconds kTimeoutMax{120'000};

net::awaitable<void> send(HttpRequest request, std::string model, ControlPlane::TestDone done) {
    SteadyTime began = steady_now();
    Result<HttpResponse> answer = co_await fetch(request);
    Milliseconds latency(elapsed_ms(began, steady_now()));
    v1::TestProviderResponse response = describe_test(request, answer, latency);
    response.set_model(std::move(model));
    done(std::move(response));
}

}  // namespace

void ControlPlane::test_provider(const v1::TestProviderRequest& request, TestDone done) {
    const v1::Provider* provider = find_provider(published_, request.name());
    if (provider == nullptr) provider = find_provider(config_, request.name());
    if (provider == nullptr) return done(unknown_provider(request.name()));
    if (provider->auth_type() == v1::AUTH_TYPE_OAUTH) {
        return done(invalid(fmt::format(
            "'{0}' sends the token of an account, which is for requests of Claude Code: send one through a data plane, with "
            "\"provider\": \"{0}\" in its body",
            request.name()
        )));
    }
    std::string model =
        request.model().empty() ? model_for(config_, request.name()) : request.model();
    if (model.empty()) {
        return done(invalid(fmt::format(
            "no route names a model for '{}': say which one to ask for with --model NAME",
            request.name()
        )));
    }
    Milliseconds timeout =
        request.timeout_ms() == 0 ? kTimeout : Milliseconds(request.timeout_ms());
    Result<HttpRequest> http = make_test_request(
        *provider, revisions_.loaded().credentials, model, std::min(timeout, kTimeoutMax)
    );
    if (!http) return done(http.error());
    net::co_spawn(
        context_,
        send(*std::move(http), std::move(model), done),
        [this, done](const std::exception_ptr& escaped) {
            if (!escaped) return;
            log_.emit(LogLevel::kError, LogEvent::kTaskFailed, "a test request was lost");
            done(invalid("internal error; see the control plane's log"));
        }
    );
}

}  // namespace balancer::controlplane
