#include "controlplane/http/metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>
#include <vector>

#include "model/failure.hpp"
#include "model/from_proto.hpp"

namespace balancer::controlplane {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

constexpr std::array kCircuits = {
    v1::CIRCUIT_CLOSED, v1::CIRCUIT_OPEN, v1::CIRCUIT_HALF_OPEN, v1::CIRCUIT_RAMP
};

std::string state_label(v1::Circuit circuit) {
    return std::string(name_of(circuit_from_proto(circuit)));
}

// One family under the common prefix; samples are added in order.
class Family {
  public:
    Family(const char* name, const char* help, prometheus::MetricType type) {
        family_.name = std::string("balancer_cp_") + name;
        family_.help = help;
        family_.type = type;
    }

    template <class Number>
    Family& add(Number value, Labels labels = {}) {
        prometheus::ClientMetric metric;
        for (auto& [name, text] : labels) metric.label.push_back({name, text});
        metric.gauge.value = static_cast<double>(value);
        metric.counter.value = static_cast<double>(value);
        family_.metric.push_back(std::move(metric));
        return *this;
    }

    prometheus::MetricFamily take() { return std::move(family_); }

  private:
    prometheus::MetricFamily family_;
};

Family gauge(const char* name, const char* help) {
    return Family(name, help, prometheus::MetricType::Gauge);
}

Family counter(const char* name, const char* help) {
    return Family(name, help, prometheus::MetricType::Counter);
}

void add_process(
    std::vector<prometheus::MetricFamily>& out, const ControlPlane& control_plane, UnixMs now
) {
    v1::GetStatusResponse status = control_plane.status();
    const ControlPlane::Tally& tally = control_plane.tally();
    auto seconds = [](std::int64_t ms) { return static_cast<double>(ms) / 1000.0; };
    out.push_back(gauge("build_info", "Always 1; the label says which build.")
                      .add(1, {{"version", status.build()}})
                      .take());
    out.push_back(gauge("uptime_seconds", "Since this process started.")
                      .add(seconds(now - status.started_at_ms()))
                      .take());
    out.push_back(
        gauge("snapshot_epoch", "Epoch of the published version.").add(status.head().epoch()).take()
    );
    out.push_back(gauge("snapshot_seq", "Sequence number of the published version in its epoch.")
                      .add(status.head().seq())
                      .take());
    out.push_back(
        gauge("config_loaded_timestamp_seconds", "Unix time at which the file came into force.")
            .add(seconds(status.config_loaded_at_ms()))
            .take()
    );
    out.push_back(gauge("config_revision", "Number of the revision that is in force.")
                      .add(status.revision().number())
                      .take());
    out.push_back(
        gauge("config_differs_from_file", "1 while what runs was changed by hand since the file.")
            .add(status.differs_from_file() ? 1 : 0)
            .take()
    );
    out.push_back(
        gauge("config_last_reload_ok", "0 while the file on disk is one that was refused.")
            .add(status.last_reload_error().empty() ? 1 : 0)
            .take()
    );
    out.push_back(counter("config_reloads_total", "Reloads by result.")
                      .add(tally.reloads_changed, {{"result", "changed"}})
                      .add(tally.reloads_unchanged, {{"result", "unchanged"}})
                      .add(tally.reloads_refused, {{"result", "refused"}})
                      .take());
    out.push_back(gauge("data_planes_connected", "Data planes with an open stream.")
                      .add(status.data_planes_connected())
                      .take());
    out.push_back(
        gauge("data_planes_in_sync", "Of those, how many have the published version, or had it 2 s ago.")
            .add(status.data_planes_in_sync())
            .take()
    );
    out.push_back(
        counter("signals_received_total", "Outcomes of attempts that data planes reported.")
            .add(tally.signals_received)
            .take()
    );
    out.push_back(counter(
                      "signals_ignored_total",
                      "Of those, of a provider or provider generation that is no more."
    )
                      .add(tally.signals_ignored)
                      .take());
}

void add_providers(std::vector<prometheus::MetricFamily>& out, const ControlPlane& control_plane) {
    Result<v1::ListProvidersResponse> list = control_plane.list_providers("");
    if (!list) return;
    Family enabled = gauge("provider_enabled", "1 when the provider may be used.");
    Family circuit =
        gauge("provider_circuit", "1 for the state that the provider's circuit is in.");
    Family models = gauge("provider_models_open", "Models of the provider that are benched by themselves.");
    Family spared = gauge("provider_spared", "1 while it is in use only because a route needs it.");
    Family transitions = counter("provider_transitions_total", "Changes of the provider's circuits, by the state reached.");
    Family count = gauge("provider_failure_count", "Failures that count against the provider now.");
    Family attempts = counter("provider_attempts_total", "Attempts by the whole fleet.");
    Family successes = counter("provider_successes_total", "Good attempts by the whole fleet.");
    Family failures =
        counter("provider_failures_total", "Failed attempts of the whole fleet, by class.");
    for (const v1::ProviderView& view : list->providers()) {
        const std::string& name = view.provider().name();
        enabled.add(view.provider().enabled() ? 1 : 0, {{"provider", name}});
        for (v1::Circuit state : kCircuits) {
            circuit.add(
                view.health().circuit() == state ? 1 : 0,
                {{"provider", name}, {"state", state_label(state)}}
            );
        }
        auto open = std::count_if(view.models().begin(), view.models().end(), [](const auto& model) {
            return model.circuit() == v1::CIRCUIT_OPEN || model.circuit() == v1::CIRCUIT_HALF_OPEN;
        });
        models.add(open, {{"provider", name}});
        spared.add(view.health().spared() ? 1 : 0, {{"provider", name}});
        const HealthHistory* history = control_plane.merger().history(name);
        for (v1::Circuit state : kCircuits) {
            if (history == nullptr) break;
            auto found = history->counted().find(state);
            std::uint64_t value = found == history->counted().end() ? 0 : found->second;
            transitions.add(value, {{"provider", name}, {"to", state_label(state)}});
        }
        count.add(view.health().failure_count(), {{"provider", name}});
        attempts.add(view.totals().attempts(), {{"provider", name}});
        successes.add(view.totals().successes(), {{"provider", name}});
        for (std::size_t number = 1; number < kFailureClasses; ++number) {
            auto found = view.totals().failures().find(static_cast<std::uint32_t>(number));
            std::uint64_t value = found == view.totals().failures().end() ? 0 : found->second;
            std::string word(name_of(static_cast<FailureClass>(number)));
            failures.add(value, {{"provider", name}, {"class", std::move(word)}});
        }
    }
    for (Family* family :
         {&enabled,
          &circuit,
          &models,
          &spared,
          &transitions,
          &count,
          &attempts,
          &successes,
          &failures}) {
        out.push_back(family->take());
    }
}

// How well what is published comes to the data planes, and what they report to us.
void add_sync(
    std::vector<prometheus::MetricFamily>& out, const ControlPlane& control_plane, UnixMs now
) {
    const v1::Version head = control_plane.publisher().head();
    Family applied_epoch = gauge("data_plane_applied_epoch", "Epoch of the version that it has acknowledged; 0: none yet.");
    Family applied_seq = gauge("data_plane_applied_seq", "Seq of the version that it has acknowledged.");
    Family behind = gauge("data_plane_lag_seconds", "For how long it has not had the published version; 0: it has.");
    Family draining = gauge("data_plane_draining", "1 while it takes no new clients and ends.");
    std::size_t refusing = 0;
    int left_out = 0;
    for (const v1::DataPlaneView& view : control_plane.publisher().data_planes()) {
        if (!view.connected()) continue;
        const v1::Version& refused = view.last_nack_version();
        bool of_head = refused.epoch() == head.epoch() && refused.seq() == head.seq();
        refusing += !view.in_sync() && of_head ? 1 : 0;
        left_out += view.quarantined_size();
        const UnixMs lag = view.behind_since_ms() != 0 ? std::max<UnixMs>(0, now - view.behind_since_ms()) : 0;
        const Labels who = {{"data_plane", view.dp_id()}};
        applied_epoch.add(view.acknowledged().epoch(), who);
        applied_seq.add(view.acknowledged().seq(), who);
        behind.add(static_cast<double>(lag) / 1000.0, who);
        draining.add(view.draining() ? 1 : 0, who);
    }
    for (Family* family : {&applied_epoch, &applied_seq, &behind, &draining}) out.push_back(family->take());
    const FleetTally& tally = control_plane.publisher().tally();
    out.push_back(counter("updates_refused_total", "Versions that a data plane has refused.")
                      .add(tally.updates_refused)
                      .take());
    out.push_back(
        gauge("data_planes_refusing", "Data planes that have refused the published version.")
            .add(refusing)
            .take()
    );
    out.push_back(gauge(
                      "providers_left_out",
                      "Providers that data planes cannot use and leave out, over all of them."
    )
                      .add(left_out)
                      .take());
    out.push_back(
        counter("signals_dropped_total", "Outcomes that data planes could not keep for us.")
            .add(tally.signals_dropped)
            .take()
    );
}

void add_fleet(std::vector<prometheus::MetricFamily>& out, const ControlPlane& control_plane) {
    const Merger& merger = control_plane.merger();
    std::size_t aside = 0;
    for (const auto& [dp_id, standing] : merger.standings()) aside += standing.may_turn_unready ? 1 : 0;
    out.push_back(
        gauge("data_planes_suspect", "Data planes that fail where the others do well.")
            .add(merger.standings().size())
            .take()
    );
    out.push_back(
        gauge("data_planes_standing_aside", "Of those, how many may be unready for it.")
            .add(aside)
            .take()
    );
    const ProbeTally& probes = merger.probe_tally();
    out.push_back(counter("probes_total", "Leased probes of half-open circuits, by what became of them.")
                      .add(probes.granted, {{"result", "granted"}})
                      .add(probes.succeeded, {{"result", "succeeded"}})
                      .add(probes.failed, {{"result", "failed"}})
                      .add(probes.expired, {{"result", "expired"}})
                      .add(probes.ignored, {{"result", "ignored"}})
                      .take());
}

// Nothing when the store cannot be read: a missing series tells it.
void add_sealing_keys(
    std::vector<prometheus::MetricFamily>& out, const ControlPlane& control_plane, UnixMs now
) {
    Result<std::vector<KeyUse>> uses = control_plane.sealing_keys().keys();
    if (!uses) return;
    Family records = gauge("sealed_records", "Secrets in the sealed store, by kind.");
    Family locked = gauge("sealed_records_locked", "Of those, how many are locked: their key is not there.");
    for (std::size_t kind = 0; kind < kSealedKinds; ++kind) {
        std::uint64_t all = 0;
        std::uint64_t without_key = 0;
        for (const KeyUse& use : *uses) {
            all += use.records[kind];
            if (!use.source) without_key += use.records[kind];
        }
        std::string word(name_of(static_cast<SealedKind>(kind)));
        records.add(all, {{"kind", word}});
        locked.add(without_key, {{"kind", word}});
    }
    const KeyUse& active = uses->front();
    auto seconds = [](std::int64_t ms) { return static_cast<double>(ms) / 1000.0; };
    out.push_back(records.take());
    out.push_back(locked.take());
    out.push_back(gauge("sealing_keys", "Keys of the ring that are there.")
                      .add(std::count_if(uses->begin(), uses->end(), [](const KeyUse& use) { return use.source; }))
                      .take());
    out.push_back(gauge("sealing_key_age_seconds", "How long the active key has been that; the label is its id.")
                      .add(seconds(now - active.active_since), {{"key", active.id}})
                      .take());
    out.push_back(gauge("sealing_key_rotated_timestamp_seconds", "Unix time since which the active key is that.")
                      .add(seconds(active.active_since))
                      .take());
}

// What an alert looks at: a login that is dead, and how long the token at hand still lasts.
void add_accounts(std::vector<prometheus::MetricFamily>& out, const ControlPlane& control_plane) {
    auto seconds = [](UnixMs at) { return static_cast<double>(at) / 1000.0; };
    Family needs_login = gauge("account_needs_login", "1 when the login is dead and somebody must log in again.");
    Family uncertain = gauge("account_uncertain", "1 while nobody knows whether the refresh token is spent.");
    Family issued = gauge("account_token_issued_timestamp_seconds", "Unix time of the access token's issue.");
    Family expires = gauge("account_token_expires_timestamp_seconds", "Unix time of the access token's end.");
    Family refreshed = gauge("account_last_refresh_timestamp_seconds", "Unix time of the last refresh, good or not; 0: none yet.");
    Family failures = gauge("account_refresh_failures", "Refreshes that failed since the last good one.");
    Family refreshes = counter("account_refreshes_total", "Good refreshes since the login.");
    Family held = gauge("account_held_until_timestamp_seconds", "Unix time until which a window of the account is used up; 0: none is.");
    Family use = gauge("account_window_used_ratio", "Share of the window that is used, as an answer told it last.");
    for (const Account* account : control_plane.custody().accounts()) {
        const std::string& name = account->name;
        needs_login.add(account->needs_login ? 1 : 0, {{"account", name}});
        uncertain.add(account->uncertain ? 1 : 0, {{"account", name}});
        issued.add(seconds(account->issued_at), {{"account", name}});
        expires.add(seconds(account->expires_at), {{"account", name}});
        refreshed.add(seconds(account->last_refresh_at), {{"account", name}});
        failures.add(account->failures, {{"account", name}});
        refreshes.add(account->refreshes, {{"account", name}});
        held.add(seconds(account->held_until), {{"account", name}});
        if (account->use.five_hour) use.add(*account->use.five_hour, {{"account", name}, {"window", "five_hour"}});
        if (account->use.seven_day) use.add(*account->use.seven_day, {{"account", name}, {"window", "seven_day"}});
    }
    for (Family* family : {&needs_login, &uncertain, &issued, &expires, &refreshed, &failures, &refreshes, &held, &use}) {
        out.push_back(family->take());
    }
}

}  // namespace

std::string metrics_text(const ControlPlane& control_plane, UnixMs now) {
    std::vector<prometheus::MetricFamily> families;
    add_process(families, control_plane, now);
    add_providers(families, control_plane);
    add_fleet(families, control_plane);
    add_sync(families, control_plane, now);
    add_sealing_keys(families, control_plane, now);
    add_accounts(families, control_plane);
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families);
    return std::move(out).str();
}

}  // namespace balancer::controlplane
