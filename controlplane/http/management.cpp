#include "controlplane/http/management.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.hpp"
#include "controlplane/http/json_answer.hpp"
#include "controlplane/http/oauth_pages.hpp"
#include "controlplane/http/page_guard.hpp"
#include "model/from_proto.hpp"
#include "model/url.hpp"

namespace balancer::controlplane {
namespace {

using Json = nlohmann::ordered_json;

std::string strategy_name(v1::SelectionStrategy strategy) {
    switch (strategy) {
        case v1::SELECTION_STRATEGY_ROUND_ROBIN:
            return "round_robin";
        case v1::SELECTION_STRATEGY_RANDOM:
            return "random";
        default:
            return "priority";
    }
}

double unix_seconds(std::int64_t ms) {
    return static_cast<double>(ms) / 1000.0;
}

// Host and port only: the URL may hold a user and a password.
Json proxy_json(const std::string& url) {
    if (url.empty()) return nullptr;
    Result<ProxySpec> proxy = parse_proxy_url(url);
    if (!proxy) return "[unreadable]";
    return fmt::format("{}:{}", proxy->host, proxy->port);
}

// What is held against single models of it.
Json model_circuits_json(const v1::ProviderView& view) {
    Json circuits = Json::array();
    for (const v1::ProviderHealth& model : view.models()) {
        bool open = model.circuit() == v1::CIRCUIT_OPEN;
        circuits.push_back(Json{
            {"model", model.model()},
            {"circuit", name_of(circuit_from_proto(model.circuit()))},
            {"open_until", open ? Json(unix_seconds(model.until_ms())) : Json(nullptr)},
            {"failure_count", model.failure_count()},
            {"cause", model.cause()},
        });
    }
    return circuits;
}

// The provider's health and that of its models as one: the original knew nothing finer.
v1::ProviderHealth joined_health(const v1::ProviderView& view) {
    v1::ProviderHealth joined = view.health();
    for (const v1::ProviderHealth& model : view.models()) {
        joined.set_failure_count(joined.failure_count() + model.failure_count());
        joined.set_last_failure_ms(std::max(joined.last_failure_ms(), model.last_failure_ms()));
        if (joined.cause().empty() && !model.cause().empty()) {
            joined.set_cause(fmt::format("model {}: {}", model.model(), model.cause()));
        }
    }
    return joined;
}

Json provider_json(const v1::ProviderView& view) {
    const v1::Provider& provider = view.provider();
    const v1::ProviderHealth health = joined_health(view);
    bool healthy = provider.enabled() && is_healthy(health) &&
                   std::all_of(view.models().begin(), view.models().end(), is_healthy);
    Json models = Json::array();
    for (const v1::ProviderRoute& route : view.routes()) {
        models.push_back(Json{
            {"pattern", route.pattern()},
            {"model", route.model().empty() ? "passthrough" : route.model()},
            {"priority", route.priority()},
        });
    }
    return Json{
        {"name", provider.name()},
        {"type", provider.type() == v1::PROVIDER_TYPE_OPENAI ? "openai" : "anthropic"},
        {"base_url", provider.base_url()},
        {"enabled", provider.enabled()},
        {"healthy", healthy},
        {"failure_count", health.failure_count()},
        {"last_failure_time", unix_seconds(health.last_failure_ms())},
        {"proxy", proxy_json(provider.proxy_url())},
        {"models", std::move(models)},
        {"status",
         !provider.enabled() ? "disabled"
         : healthy           ? "healthy"
                             : "unhealthy"},
        {"circuit", name_of(circuit_from_proto(health.circuit()))},
        {"open_until",
         health.circuit() == v1::CIRCUIT_OPEN ? Json(unix_seconds(health.until_ms()))
                                              : Json(nullptr)},
        {"cause", health.cause()},
        {"model_circuits", model_circuits_json(view)},
    };
}

v1::ManageResponse show_providers(const ControlPlane& control_plane) {
    v1::GetStatusResponse status = control_plane.status();
    v1::ShowConfigResponse config = control_plane.show_config();
    Result<v1::ListProvidersResponse> list = control_plane.list_providers("");
    if (!list) return respond_error(500, "api_error", list.error().text());
    Json providers = Json::array();
    for (const v1::ProviderView& view : list->providers()) providers.push_back(provider_json(view));
    return respond(
        200,
        Json{
            {"total_providers", list->providers_size()},
            {"healthy_providers", status.providers_healthy()},
            {"selection_strategy", strategy_name(config.config().settings().selection_strategy())},
            {"total_model_routes", config.config().routes_size()},
            {"providers", std::move(providers)},
            {"data_planes",
             {{"connected", status.data_planes_connected()},
              {"in_sync", status.data_planes_in_sync()}}},
            {"version", {{"epoch", status.head().epoch()}, {"seq", status.head().seq()}}},
        }
    );
}

v1::ManageResponse reload(ControlPlane& control_plane, const v1::ManageRequest& request) {
    std::string cause = "POST /providers/reload";
    if (!request.client_key_name().empty()) {
        cause += fmt::format(" with client key '{}'", request.client_key_name());
    }
    ReloadOutcome outcome = control_plane.reload(cause);
    if (outcome.result == ReloadResult::kRefused) {
        Json problems = Json::array();
        for (const ConfigProblem& problem : outcome.problems)
            problems.push_back(to_string(problem));
        return respond(
            500,
            Json{
                {"status", "error"}, {"message", outcome.message}, {"problems", std::move(problems)}
            }
        );
    }
    v1::GetStatusResponse status = control_plane.status();
    return respond(
        200,
        Json{
            {"status", "success"},
            {"message", outcome.message},
            {"providers_count", control_plane.show_config().config().providers_size()},
            {"healthy_providers", status.providers_healthy()},
            {"changed", outcome.result == ReloadResult::kChanged},
        }
    );
}

}  // namespace

void manage(
    ControlPlane& control_plane, const v1::ManageRequest& request, std::function<void(v1::ManageResponse)> done
) {
    std::string refused = why_refused(request, control_plane.custody().settings().redirect_uri);
    if (!refused.empty()) return done(respond_error(403, "permission_error", std::move(refused)));
    if (is_oauth_path(request.path())) return serve_oauth(control_plane, request, std::move(done));
    done(manage(control_plane, request));
}

v1::ManageResponse manage(ControlPlane& control_plane, const v1::ManageRequest& request) {
    if (request.path() == "/providers") {
        if (request.method() != "GET") return respond_not_allowed(request, "GET");
        return show_providers(control_plane);
    }
    if (request.path() == "/providers/reload") {
        if (request.method() != "POST") return respond_not_allowed(request, "POST");
        return reload(control_plane, request);
    }
    return respond_error(
        404, "not_found_error", fmt::format("there is nothing at {}", request.path())
    );
}

}  // namespace balancer::controlplane
