// What the control plane shows of itself.
#include <fmt/format.h>

#include <algorithm>

#include "controlplane/control_plane.hpp"
#include "controlplane/overrides.hpp"

namespace balancer::controlplane {
namespace {

bool is_healthy(const v1::ProviderHealth& health) {
    return health.circuit() != v1::CIRCUIT_OPEN;
}

// The whole provider's entry, not one model's.
const v1::ProviderHealth* find_health(const v1::HealthSection& section, std::string_view provider) {
    for (const v1::ProviderHealth& entry : section.providers()) {
        if (entry.provider() == provider && entry.model().empty()) return &entry;
    }
    return nullptr;
}

void add_routes(const v1::ConfigSection& config, v1::ProviderView& view) {
    for (const v1::Route& route : config.routes()) {
        for (const v1::RouteTarget& target : route.targets()) {
            if (!target.enabled() || target.provider() != view.provider().name()) continue;
            v1::ProviderRoute& out = *view.add_routes();
            out.set_pattern(route.pattern());
            out.set_model(target.model());
            out.set_priority(target.priority());
        }
    }
}

void copy_problem(const ConfigProblem& in, v1::ConfigProblem& out) {
    out.set_file(in.file);
    out.set_line(in.line);
    out.set_column(in.column);
    out.set_path(in.path);
    out.set_message(in.message);
    out.set_suggestion(in.suggestion);
}

}  // namespace

v1::GetStatusResponse ControlPlane::status() const {
    v1::GetStatusResponse response;
    response.set_cp_id(store_.identity().store_uuid);
    response.set_build(BALANCER_VERSION);
    response.set_started_at_ms(started_at_);
    *response.mutable_head() = publisher_.head();
    std::error_code ignored;  // the path as given then
    std::filesystem::path absolute = std::filesystem::absolute(options_.config_file, ignored);
    response.set_config_path(ignored ? options_.config_file.string() : absolute.string());
    response.set_config_sha256(loaded_.sha256);
    response.set_config_loaded_at_ms(loaded_at_);
    if (!reload_error_.empty()) {
        response.set_last_reload_error(reload_error_);
        response.set_last_reload_error_at_ms(reload_error_at_);
    }
    v1::HealthSection health = merger_.section(unix_now());
    unsigned healthy = 0;
    for (const v1::Provider& provider : config_.providers()) {
        const v1::ProviderHealth* entry = find_health(health, provider.name());
        if (provider.enabled() && (entry == nullptr || is_healthy(*entry))) ++healthy;
    }
    response.set_providers_total(static_cast<std::uint32_t>(count_enabled(config_)));
    response.set_providers_healthy(healthy);
    for (const v1::DataPlaneView& view : publisher_.data_planes()) {
        if (!view.connected()) {
            response.set_data_planes_gone(response.data_planes_gone() + 1);
            continue;
        }
        response.set_data_planes_connected(response.data_planes_connected() + 1);
        if (view.in_sync()) response.set_data_planes_in_sync(response.data_planes_in_sync() + 1);
    }
    for (const std::string& notice : start_notices_) response.add_notices(notice);
    for (const std::string& notice : loaded_.notices) response.add_notices(notice);
    for (const Override& entry : overrides_) response.add_notices(describe(entry));
    return response;
}

Result<v1::ListProvidersResponse> ControlPlane::list_providers(const std::string& name) const {
    if (!name.empty() && find_provider(config_, name) == nullptr) return unknown_provider(name);
    v1::ListProvidersResponse response;
    *response.mutable_head() = publisher_.head();
    v1::HealthSection health = merger_.section(unix_now());
    for (const v1::Provider& provider : config_.providers()) {
        if (!name.empty() && provider.name() != name) continue;
        v1::ProviderView& view = *response.add_providers();
        *view.mutable_provider() = provider;
        if (const v1::ProviderHealth* entry = find_health(health, provider.name())) {
            *view.mutable_health() = *entry;
        } else {
            view.mutable_health()->set_provider(provider.name());
        }
        *view.mutable_totals() = merger_.totals(provider.name());
        add_routes(config_, view);
        for (v1::Signal& signal : merger_.recent_failures(provider.name())) {
            *view.add_recent_failures() = std::move(signal);
        }
        const v1::Provider* in_file = find_provider(loaded_.config, provider.name());
        view.set_enabled_in_file(in_file != nullptr && in_file->enabled());
    }
    return response;
}

v1::ListDataPlanesResponse ControlPlane::list_data_planes() const {
    v1::ListDataPlanesResponse response;
    *response.mutable_head() = publisher_.head();
    for (v1::DataPlaneView& view : publisher_.data_planes()) {
        *response.add_data_planes() = std::move(view);
    }
    return response;
}

v1::ValidateConfigResponse ControlPlane::validate(const v1::ValidateConfigRequest& request) const {
    LoadResult result =
        request.yaml().empty()
            ? load_config(options_.config_file, options_.environment)
            : parse_config(
                  request.yaml(),
                  request.file_name().empty() ? options_.config_file.string() : request.file_name(),
                  options_.environment
              );
    v1::ValidateConfigResponse response;
    if (const auto* problems = std::get_if<std::vector<ConfigProblem>>(&result)) {
        for (const ConfigProblem& problem : *problems) {
            copy_problem(problem, *response.add_problems());
        }
        return response;
    }
    response.set_ok(true);
    for (const std::string& notice : std::get<LoadedConfig>(result).notices) {
        response.add_notices(notice);
    }
    return response;
}

v1::ShowConfigResponse ControlPlane::show_config() const {
    v1::ShowConfigResponse response;
    *response.mutable_head() = publisher_.head();
    *response.mutable_config() = config_;
    response.set_file(options_.config_file.string());
    return response;
}

Error ControlPlane::unknown_provider(std::string_view name) const {
    std::string names;
    for (const v1::Provider& provider : config_.providers()) {
        if (!names.empty()) names += ", ";
        names += provider.name();
    }
    return Error{
        make_error_code(boost::system::errc::no_such_device_or_address),
        fmt::format("there is no provider '{}'; there are: {}", name, names),
    };
}

bool is_unknown_provider(const Error& error) {
    return error.code == boost::system::errc::no_such_device_or_address;
}

std::string to_lines(const std::vector<ConfigProblem>& problems, std::size_t lines_max) {
    std::string text;
    for (std::size_t i = 0; i < std::min(problems.size(), lines_max); ++i) {
        if (i > 0) text += '\n';
        text += to_string(problems[i]);
    }
    if (problems.size() > lines_max) {
        text += fmt::format("\n… and {} more", problems.size() - lines_max);
    }
    return text;
}

}  // namespace balancer::controlplane
