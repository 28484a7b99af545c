// The control plane's state and what may be done to it: the configuration in force, overrides,
// fleet health.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "balancer/v1/admin.pb.h"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "controlplane/config/load.hpp"
#include "controlplane/health/merger.hpp"
#include "controlplane/overrides.hpp"
#include "controlplane/publish/publisher.hpp"
#include "controlplane/store/store.hpp"

namespace balancer::controlplane {

enum class ReloadResult { kChanged, kUnchanged, kRefused };

struct ReloadOutcome {
    ReloadResult result = ReloadResult::kUnchanged;
    std::string message;                  // one sentence for a person
    std::vector<ConfigProblem> problems;  // when refused
};

// Lives on one io_context; every member runs there, none blocks but for the store's writes. The
// io_context, the log and the store outlive it.
class ControlPlane {
  public:
    struct Options {
        std::filesystem::path config_file;
        std::filesystem::path state_dir;  // relative log paths start here
        Environment environment;
    };

    // Counted since the start.
    struct Tally {
        std::uint64_t reloads_changed = 0;
        std::uint64_t reloads_unchanged = 0;
        std::uint64_t reloads_refused = 0;
        std::uint64_t signals_received = 0;
        std::uint64_t signals_ignored =
            0;  // of a provider, or a provider generation, that is no more
    };

    ControlPlane(boost::asio::io_context& context, Log& log, Store& store, Options options);

    // Brings the stored overrides back and publishes for the first time. An error of the store ends
    // the start.
    Result<void> start(LoadedConfig loaded);

    // No timer runs after this.
    void stop();

    // Reads the file again. A bad file changes nothing. `cause` is for people: "the file changed".
    ReloadOutcome reload(std::string_view cause);

    // The same when the file's bytes are others than those in force; else nothing, not even a line in the log.
    void reload_if_changed(std::string_view cause);

    // Edits by hand (control_plane_edits.cpp).
    // Refused: an unknown provider (see is_unknown_provider), one without a credential to enable,
    // the last enabled one to disable.
    Result<v1::ChangeResponse> set_provider_enabled(const v1::SetProviderEnabledRequest& request);

    // Forgets the fleet's evidence against a provider and closes its circuit.
    Result<v1::ChangeResponse> reset_provider(const v1::ResetProviderRequest& request);

    // What a data plane reports; `dp_id` and `instance_id` come from the authenticated stream.
    void on_report(
        const std::string& dp_id, const std::string& instance_id, const v1::ReportRequest& report
    );

    // Views (control_plane_views.cpp). Secrets are in them: who sends one out masks it
    // (service/redacted_print).
    v1::GetStatusResponse status() const;
    Result<v1::ListProvidersResponse> list_providers(const std::string& name) const;
    v1::ListDataPlanesResponse list_data_planes() const;
    v1::ValidateConfigResponse validate(const v1::ValidateConfigRequest& request) const;
    v1::ShowConfigResponse show_config() const;

    const Tally& tally() const { return tally_; }
    Publisher& publisher() { return publisher_; }
    const Publisher& publisher() const { return publisher_; }

  private:
    ReloadOutcome take(LoadedConfig loaded, std::string_view cause);
    ReloadOutcome refuse(std::vector<ConfigProblem> problems, std::string_view cause);
    Result<void> put_in_force(LoadedConfig loaded, Effective effective, const std::string& cause);
    Result<void> check_change(const v1::Provider& provider, bool enabled) const;
    void publish_health(const std::string& cause);
    void log_circuits(const v1::HealthSection& now) const;
    void apply_log_settings();
    void log_notices();
    void tick();
    Error unknown_provider(std::string_view name) const;

    Log& log_;
    Store& store_;
    const Options options_;
    const UnixMs started_at_;
    Publisher publisher_;
    Merger merger_;
    boost::asio::steady_timer ticker_;

    LoadedConfig loaded_;              // as the file says
    v1::ConfigSection config_;         // with the overrides: what is published
    std::vector<Override> overrides_;  // as the store has them
    v1::HealthSection health_;         // as last published
    std::vector<std::string> start_notices_;
    UnixMs loaded_at_ = 0;
    std::string reload_error_;
    UnixMs reload_error_at_ = 0;
    Tally tally_;
};

// The provider that was named does not exist.
bool is_unknown_provider(const Error& error);

// All of them, one a line; at most `lines_max`, then how many more.
std::string to_lines(const std::vector<ConfigProblem>& problems, std::size_t lines_max);

}  // namespace balancer::controlplane
