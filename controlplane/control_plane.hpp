// The control plane's state and what may be done to it: the configuration in force, overrides,
// fleet health.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "balancer/v1/admin.pb.h"
#include "base/clock.hpp"
#include "base/clock_watch.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "controlplane/config/load.hpp"
#include "controlplane/health/merger.hpp"
#include "controlplane/hold_custody.hpp"
#include "controlplane/oauth/custody.hpp"
#include "controlplane/overrides.hpp"
#include "controlplane/publish/publisher.hpp"
#include "controlplane/revisions.hpp"
#include "controlplane/store/store.hpp"

namespace balancer::controlplane {

enum class ReloadResult { kChanged, kUnchanged, kRefused };

struct ReloadOutcome {
    ReloadResult result = ReloadResult::kUnchanged;
    std::string message;                  // one sentence for a person
    std::vector<ConfigProblem> problems;  // when refused
};

// Lives on one io_context; every member runs there, none blocks but for the store's writes of revisions. The
// io_context, the log and the store outlive it.
class ControlPlane {
  public:
    struct Options {
        std::filesystem::path config_file;
        std::filesystem::path state_dir;  // relative log paths start here
        Environment environment;
        PostProgram post_program{};  // see Custody::Options
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

    // Puts the head revision in force, or the file as `loaded` read it if it has changed since
    // (revisions.hpp), and publishes for the first time. An error of the store ends the start, and
    // so does a head revision that is no good any more (is_bad_config).
    Result<void> start(LoadedConfig loaded);

    // No timer runs after this. What providers have said of their accounts is on disk when this object is gone.
    void stop();

    // Reads the file again. A bad file changes nothing. `cause` is for people: "the file changed".
    // Who asked for it, and why, is kept with the revision that it may make.
    ReloadOutcome reload(std::string_view cause, const v1::ChangeContext& context = {});

    // The same when the file's bytes are others than those in force; else nothing, not even a line in the log.
    void reload_if_changed(std::string_view cause);

    // Changes by hand (control_plane_edits.cpp): each that changes something is a new revision.
    // Refused, with nothing changed: what names something that is not there (is_unknown_name), what
    // was asked of another revision than the one in force, what parse_config refuses, and what
    // would leave no provider enabled, unless it is forced.
    Result<v1::ChangeResponse> set_provider_enabled(const v1::SetProviderEnabledRequest& request);
    Result<v1::ChangeResponse> edit_config(const v1::EditConfigRequest& request);

    // Forgets the fleet's evidence against a provider and closes its circuit.
    Result<v1::ChangeResponse> reset_provider(const v1::ResetProviderRequest& request);

    // The history (control_plane_revisions.cpp).
    Result<v1::ListRevisionsResponse> list_revisions(const v1::ListRevisionsRequest& request) const;
    Result<v1::DiffConfigResponse> diff_config(const v1::DiffConfigRequest& request) const;
    Result<v1::ChangeResponse> rollback_config(const v1::RollbackConfigRequest& request);
    // Keeps the file's owner and mode. Refused when it has changed since, unless it is forced.
    Result<v1::ChangeResponse> save_config(const v1::SaveConfigRequest& request);

    // Sends one small request to a provider; `done` is called once, on the loop, within the
    // request's time. Not a revision, and no evidence for health.
    using TestDone = std::function<void(Result<v1::TestProviderResponse>)>;
    void test_provider(const v1::TestProviderRequest& request, TestDone done);

    // Tells one to end, its streams first (control_plane_explain.cpp).
    Result<v1::DrainDataPlaneResponse> drain_data_plane(const v1::DrainDataPlaneRequest& request);

    // Asks the data planes what became of one request; `done` is called once, on the loop, within two
    // seconds or so.
    using ExplainDone = std::function<void(Result<v1::ExplainRequestResponse>)>;
    void explain_request(const v1::ExplainRequestRequest& request, ExplainDone done);
    // The same for all that is under way, oldest first.
    using RequestsDone = std::function<void(Result<v1::ListRequestsResponse>)>;
    void list_requests(const v1::ListRequestsRequest& request, RequestsDone done);

    // The keys of the sealed store (control_plane_keys.cpp): by id, never themselves.
    Result<v1::ListSealingKeysResponse> list_sealing_keys() const;
    Result<v1::SealingKeyChange> rotate_sealing_keys(const v1::RotateSealingKeysRequest& request);
    Result<v1::SealingKeyChange> retire_sealing_key(const v1::RetireSealingKeyRequest& request);
    KeyCustody& sealing_keys() const { return store_.keys(); }

    // What a data plane reports (control_plane_health.cpp). DataPlaneService has seen to it that this process is
    // connected.
    void on_report(
        const std::string& dp_id, const std::string& instance_id, const v1::ReportRequest& report
    );

    // Views (control_plane_views.cpp). Secrets are in them: who sends one out masks it
    // (service/redacted_print).
    v1::GetStatusResponse status() const;
    Result<v1::ListProvidersResponse> list_providers(const std::string& name) const;
    // `name` empty: all.
    Result<v1::ListDataPlanesResponse> list_data_planes(const std::string& name) const;
    v1::ValidateConfigResponse validate(const v1::ValidateConfigRequest& request) const;
    v1::ShowConfigResponse show_config() const;
    // An older one, or the text of the one in force: masked already.
    Result<v1::ShowConfigResponse> show_revision(std::uint64_t number) const;
    v1::ListRoutesResponse list_routes() const;

    const Tally& tally() const { return tally_; }
    const Merger& merger() const { return merger_; }
    const v1::ConfigSection& config() const { return config_; }
    Custody& custody() { return custody_; }
    const Custody& custody() const { return custody_; }
    // The names of the configuration's providers that use the account.
    std::vector<std::string> providers_of(std::string_view account) const;
    // When a request was last sent with the account's token, as far as reports since the start tell; 0: never.
    UnixMs last_used(const Account& account) const;
    Publisher& publisher() { return publisher_; }
    const Publisher& publisher() const { return publisher_; }

  private:
    // The secret of an edit that is under way: checked like what is stored, and stored once the edit is made.
    struct HeldKey {
        std::string name;  // of the record
        SecretBytes content;
        std::uint64_t generation = 0;  // 0: not stored yet
    };

    ReloadOutcome take(
        LoadedConfig loaded, std::string_view cause, const v1::ChangeContext& context
    );
    ReloadOutcome reread(std::string_view cause);
    ReloadOutcome unchanged(std::string message, std::string_view cause);
    ReloadOutcome refuse(std::vector<ConfigProblem> problems, std::string_view cause);
    Result<void> put_in_force(Candidate candidate, const std::string& cause, bool forced = false);
    Result<void> check_some_enabled(const v1::ConfigSection& next, bool forced) const;
    void publish_running(const std::string& cause);
    void publish_sections(const std::string& cause);
    Result<void> check_size(const v1::ConfigSection& config, const LoadedConfig& loaded) const;
    void add_account_credentials(const v1::ConfigSection& expanded, v1::CredentialSection& credentials) const;
    void note_uses(const std::string& dp_id, const v1::ReportRequest& report);
    bool take_account_news(const std::string& dp_id, const std::string& name, const v1::Signal& signal);
    Result<v1::ChangeResponse> finish(
        Candidate candidate, const v1::ChangeContext& context, std::string message
    );
    Result<v1::ChangeResponse> no_change(std::string message) const;
    Result<Revision> find_revision(std::string_view side, std::string& name) const;
    Result<void> check_enable(const v1::Provider& provider) const;
    Result<v1::ChangeResponse> edit_text(const v1::EditConfigRequest& request);
    Result<std::string> sealed_key(const std::string& name) const;
    void hold_key(v1::ProviderEdit& edit);
    Result<void> store_held_key();
    void drop_held_key();
    void settle_keys();
    std::optional<std::string> locked_notice() const;
    std::string credential_problem(std::string_view provider) const;
    void publish_health(const std::string& cause);
    void publish_health_soon(const std::string& cause);
    void log_circuits();
    void publish_standings();
    bool follow_members();
    UnixMs now();
    void arm_ticker();
    void apply_log_settings();
    void log_notices();
    void tick();
    Error unknown_provider(std::string_view name) const;
    Result<const v1::Provider*> provider_to_test(const std::string& name) const;

    boost::asio::io_context& context_;
    Log& log_;
    Store& store_;
    const Options options_;
    const UnixMs started_at_;
    Publisher publisher_;
    std::mt19937_64 random_{std::random_device{}()};  // before the merger, which draws from it
    Merger merger_;
    boost::asio::steady_timer ticker_;
    boost::asio::steady_timer health_timer_;  // armed: health has changed and waits for its turn
    SteadyTime health_published_at_{};
    bool health_waits_ = false;
    ClockWatch clock_;
    bool clock_set_ = false;  // since the last publication of health

    HoldCustody hold_custody_;
    std::optional<std::vector<AccountHold>> holds_to_restore_;  // of the store, until the first configuration
    std::uint64_t members_revision_ = 0;                        // of whom the merger knows

    std::optional<HeldKey> held_key_;
    Revisions revisions_;
    v1::ConfigSection config_;     // the head revision with its overrides
    v1::ConfigSection published_;  // the same with a provider for each account
    Custody custody_;
    std::string publish_problem_;  // empty: what is in force is published
    std::map<std::string, UnixMs, std::less<>> account_used_at_;
    Standings standings_;       // as last told
    std::vector<std::string> change_notices_;  // of the last change: edits that it lost
    UnixMs loaded_at_ = 0;
    std::string reload_error_;
    UnixMs reload_error_at_ = 0;
    Tally tally_;
    bool ticker_armed_ = false;
    bool stopped_ = false;
};

// The head revision cannot be used: for the exit code.
bool is_bad_config(const Error& error);

v1::Revision to_proto(const Revision& revision);

// Of use, and not only for want of another.
bool is_healthy(const v1::ProviderHealth& health);

// All of them, one a line; at most `lines_max`, then how many more.
std::string to_lines(const std::vector<ConfigProblem>& problems, std::size_t lines_max);

}  // namespace balancer::controlplane
