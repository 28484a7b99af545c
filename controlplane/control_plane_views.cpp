// What the control plane shows of itself.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "controlplane/config/edits.hpp"
#include "controlplane/config/find_provider.hpp"
#include "controlplane/control_plane.hpp"
#include "controlplane/overrides.hpp"

namespace balancer::controlplane {
namespace {

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

bool is_draining(const std::vector<Override>& overrides, std::string_view provider) {
    return std::any_of(overrides.begin(), overrides.end(), [&](const Override& entry) {
        return entry.drain && entry.provider == provider;
    });
}

std::uint32_t in_flight_at(
    const std::vector<v1::DataPlaneView>& data_planes, const std::string& provider
) {
    std::uint64_t sum = 0;  // of numbers that each data plane chooses
    for (const v1::DataPlaneView& view : data_planes) {
        auto found = view.in_flight_at().find(provider);
        if (view.connected() && found != view.in_flight_at().end()) sum += found->second;
    }
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(sum, std::numeric_limits<std::uint32_t>::max())
    );
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
    response.set_now_ms(unix_now());
    *response.mutable_head() = publisher_.head();
    std::error_code ignored;  // the path as given then
    std::filesystem::path absolute = std::filesystem::absolute(options_.config_file, ignored);
    response.set_config_path(ignored ? options_.config_file.string() : absolute.string());
    response.set_config_sha256(revisions_.head().file_sha256);
    response.set_config_loaded_at_ms(loaded_at_);
    if (!reload_error_.empty()) {
        response.set_last_reload_error(reload_error_);
        response.set_last_reload_error_at_ms(reload_error_at_);
    }
    v1::HealthSection health = merger_.section();
    unsigned healthy = 0;
    for (const v1::Provider& provider : published_.providers()) {
        const v1::ProviderHealth* entry = find_health(health, provider.name());
        if (provider.enabled() && (entry == nullptr || is_healthy(*entry))) ++healthy;
    }
    response.set_providers_total(static_cast<std::uint32_t>(count_enabled(published_)));
    response.set_providers_healthy(healthy);
    for (const v1::DataPlaneView& view : publisher_.data_planes()) {
        if (!view.connected()) {
            response.set_data_planes_gone(response.data_planes_gone() + 1);
            continue;
        }
        response.set_data_planes_connected(response.data_planes_connected() + 1);
        if (view.in_sync()) response.set_data_planes_in_sync(response.data_planes_in_sync() + 1);
    }
    *response.mutable_revision() = to_proto(revisions_.head());
    response.set_differs_from_file(revisions_.edited_by_hand());
    for (const std::string& notice : change_notices_) response.add_notices(notice);
    if (revisions_.edited_by_hand()) {
        response.add_notices(fmt::format(
            "revision {} was changed by hand and is not in the file: `balancerctl config diff` "
            "shows it, `balancerctl config save` writes it there",
            revisions_.head().number
        ));
    }
    if (std::optional<std::string> notice = locked_notice()) response.add_notices(*notice);
    for (const std::string& notice : revisions_.loaded().notices) response.add_notices(notice);
    for (const Override& entry : revisions_.head().overrides) response.add_notices(describe(entry));
    if (!publish_problem_.empty()) response.add_notices(publish_problem_);
    for (const std::string& problem : custody_.problems()) response.add_notices(problem);
    for (const Account* account : custody_.accounts()) {
        if (!account->problem.empty()) response.add_notices(fmt::format("account '{}': {}", account->name, account->problem));
    }
    for (const auto& [dp_id, standing] : merger_.standings()) {
        response.add_notices(fmt::format("data plane {} is suspect: {}", dp_id, standing.reason));
    }
    return response;
}

Result<v1::ListProvidersResponse> ControlPlane::list_providers(const std::string& name) const {
    if (!name.empty() && find_provider(config_, name) == nullptr && find_provider(published_, name) == nullptr) {
        return unknown_provider(name);
    }
    v1::ListProvidersResponse response;
    *response.mutable_head() = publisher_.head();
    v1::HealthSection health = merger_.section();
    const std::vector<v1::DataPlaneView> data_planes = publisher_.data_planes();
    for (const v1::Provider& provider : published_.providers()) {
        if (!name.empty() && provider.name() != name && provider.group() != name) continue;
        const std::string& configured = provider.group().empty() ? provider.name() : provider.group();
        v1::ProviderView& view = *response.add_providers();
        *view.mutable_provider() = provider;
        if (const v1::ProviderHealth* entry = find_health(health, provider.name())) {
            *view.mutable_health() = *entry;
        } else {
            view.mutable_health()->set_provider(provider.name());
        }
        for (const v1::ProviderHealth& entry : health.providers()) {
            if (entry.provider() != provider.name() || entry.model().empty()) continue;
            *view.add_models() = entry;
        }
        if (const HealthHistory* history = merger_.history(provider.name())) {
            for (const v1::HealthTransition& one : history->kept()) *view.add_health_history() = one;
        }
        *view.mutable_totals() = merger_.totals(provider.name());
        add_routes(published_, view);
        for (v1::Signal& signal : merger_.recent_failures(provider.name())) {
            *view.add_recent_failures() = std::move(signal);
        }
        const v1::Provider* in_file = find_provider(revisions_.loaded().config, configured);
        view.set_enabled_in_file(in_file != nullptr && in_file->enabled());
        view.set_draining(is_draining(revisions_.head().overrides, configured));
        view.set_in_flight(in_flight_at(data_planes, provider.name()));
        view.set_credential_problem(credential_problem(provider.name()));
        if (const v1::Provider* in_force = find_provider(config_, configured)) view.set_config_etag(in_force->etag());
    }
    return response;
}

Result<v1::ListDataPlanesResponse> ControlPlane::list_data_planes(const std::string& name) const {
    v1::ListDataPlanesResponse response;
    *response.mutable_head() = publisher_.head();
    std::string known;
    for (v1::DataPlaneView& view : publisher_.data_planes()) {
        known += (known.empty() ? "" : ", ") + view.dp_id();
        if (name.empty() || view.dp_id() == name) *response.add_data_planes() = std::move(view);
    }
    if (name.empty() || !response.data_planes().empty()) return response;
    return Error{
        make_error_code(boost::system::errc::no_such_device_or_address),
        fmt::format(
            "no data plane '{}' has connected in the last hour; {}",
            name,
            known.empty() ? "none has" : "there are: " + known
        ),
    };
}

v1::ValidateConfigResponse ControlPlane::validate(const v1::ValidateConfigRequest& request) const {
    SealedKeyLookup sealed_keys = [this](const std::string& name) { return sealed_key(name); };
    LoadResult result =
        request.yaml().empty()
            ? load_config(options_.config_file, options_.environment, sealed_keys)
            : parse_config(
                  request.yaml(),
                  request.file_name().empty() ? options_.config_file.string() : request.file_name(),
                  options_.environment,
                  sealed_keys
              );
    v1::ValidateConfigResponse response;
    if (const auto* problems = std::get_if<std::vector<ConfigProblem>>(&result)) {
        for (const ConfigProblem& problem : *problems) {
            copy_problem(problem, *response.add_problems());
        }
        return response;
    }
    response.set_ok(true);
    const LoadedConfig& loaded = std::get<LoadedConfig>(result);
    for (const std::string& notice : loaded.notices) response.add_notices(notice);
    for (const std::string& words : revisions_.moved_words(loaded)) response.add_notices(words);
    return response;
}

std::string ControlPlane::credential_problem(std::string_view provider) const {
    const auto& sealed = revisions_.loaded().sealed;
    auto found = sealed.find(std::string(provider));
    return found == sealed.end() ? std::string() : found->second.problem;
}

v1::ShowConfigResponse ControlPlane::show_config() const {
    v1::ShowConfigResponse response;
    *response.mutable_head() = publisher_.head();
    *response.mutable_config() = config_;
    response.set_file(options_.config_file.string());
    *response.mutable_revision() = to_proto(revisions_.head());
    return response;
}

v1::ListRoutesResponse ControlPlane::list_routes() const {
    v1::ListRoutesResponse response;
    *response.mutable_head() = publisher_.head();
    response.set_revision(revisions_.head().number);
    *response.mutable_routes() = config_.routes();
    return response;
}

std::vector<std::string> ControlPlane::providers_of(std::string_view account) const {
    std::vector<std::string> names;
    for (const v1::Provider& provider : published_.providers()) {
        if (provider.account() == account && !account.empty()) names.push_back(provider.group());
    }
    return names;
}

UnixMs ControlPlane::last_used(const Account& account) const {
    auto found = account_used_at_.find(account.name);
    return std::max(found == account_used_at_.end() ? 0 : found->second, account.use_at);
}

Error ControlPlane::unknown_provider(std::string_view name) const {
    std::vector<std::string> names;
    for (const v1::Provider& provider : config_.providers()) names.push_back(provider.name());
    return unknown_name("provider", name, names);
}

bool is_healthy(const v1::ProviderHealth& health) {
    return (health.circuit() == v1::CIRCUIT_CLOSED || health.circuit() == v1::CIRCUIT_RAMP) &&
           !health.spared();
}

bool is_bad_config(const Error& error) {
    return error.code == boost::system::errc::bad_message;
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
