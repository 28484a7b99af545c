#include "tests/simulation/sim_fleet.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "controlplane/service/peer_bounds.hpp"

namespace balancer::simulation {
namespace {

constexpr const char* kModels[] = {"opus", "haiku"};
constexpr UnixMs kReportGap = 2'000;
constexpr UnixMs kTick = 1'000;

v1::ConfigSection config_of(const FleetShape& shape) {
    v1::ConfigSection config;
    config.set_schema(1);
    v1::Route& route = *config.add_routes();
    route.set_pattern("*");
    int priority = 0;
    for (const std::string& name : shape.providers) {
        v1::Provider& provider = *config.add_providers();
        provider.set_name(name);
        provider.set_type(v1::PROVIDER_TYPE_ANTHROPIC);
        provider.set_base_url("https://" + name + ".example");
        provider.set_auth_type(v1::AUTH_TYPE_API_KEY);
        provider.set_credential_ref(name);
        provider.set_enabled(true);
        provider.set_weight(1);
        provider.set_etag(name + "-1");
        v1::RouteTarget& target = *route.add_targets();
        target.set_provider(name);
        target.set_enabled(true);
        target.set_priority(priority);
    }
    v1::HealthPolicy& policy = *config.mutable_settings()->mutable_health();
    policy.set_failure_cooldown_ms(static_cast<std::uint32_t>(shape.cooldown));
    policy.set_unhealthy_threshold(2);
    policy.set_unhealthy_reset_on_success(true);
    policy.set_unhealthy_reset_timeout_ms(300'000);
    return config;
}

}  // namespace

SimFleet::SimFleet(FleetShape shape)
    : shape_(std::move(shape)), random_(shape_.seed), events_(kStart), config_(config_of(shape_)) {
    auto chance = [this] { return std::uniform_real_distribution<double>(0, 1)(random_); };
    merger_ = std::make_unique<controlplane::Merger>(epoch_, chance);
    merger_->configure(config_, now());
    section_ = merger_->section();
    Surroundings around{
        events_,
        random_,
        [this](const std::string& dp_id, const Provider& provider, const std::string& model) {
            return answer(dp_id, provider, model);
        },
        [this](const std::string& dp_id, v1::Signal signal) { report(dp_id, std::move(signal)); },
    };
    for (std::size_t i = 1; i <= shape_.data_planes; ++i) {
        data_planes_.push_back(std::make_unique<SimDataPlane>(fmt::format("dp-{}", i), around));
        auto ahead = shape_.ahead.find(i);
        if (ahead != shape_.ahead.end()) data_planes_.back()->set_ahead(ahead->second);
        data_planes_.back()->take_config(config_);
        data_planes_.back()->take_health(section_, epoch_);
        begin_traffic(i - 1);
        begin_reports(i - 1);
    }
    set_members();
    events_.after(kTick, [this] { tick(); });
}

void SimFleet::begin_traffic(std::size_t dp) {
    double gap = std::exponential_distribution<double>(shape_.requests_per_second / 1'000)(random_);
    events_.after(1 + static_cast<UnixMs>(gap), [this, dp] {
        if (serving_) data_planes_[dp]->serve(kModels[random_() % 2], random_());
        begin_traffic(dp);
    });
}

void SimFleet::begin_reports(std::size_t dp) {
    events_.after(kReportGap, [this, dp] {
        SimDataPlane& plane = *data_planes_[dp];
        if (plane.connected()) {
            auto counters = plane.counters();
            int copies = happens(0.05) ? 0 : happens(0.1) ? 2 : 1;  // lost, repeated
            for (int copy = 0; copy < copies; ++copy) {
                std::string instance = plane.instance();
                if (copy > 0 && shape_.mutant == Mutant::kCountsTwice) instance += "-again";
                events_.after(delay(), [this, id = plane.id(), instance, counters] {
                    merger_->counters(id, instance, counters, now());
                });
            }
        }
        begin_reports(dp);
    });
}

// The control plane's ticker: every second, and when a circuit is due.
void SimFleet::tick() {
    set_members();
    check_told();
    if (merger_->age(now())) publish();
    check_told();
    check();
    UnixMs next = now() + kTick;
    if (auto due = merger_->next_change()) next = std::clamp(*due, now() + 1, next);
    events_.at(next, [this] { tick(); });
}

Answer SimFleet::answer(
    const std::string& dp_id, const Provider& provider, const std::string& model
) {
    ++attempts_[provider.name];
    UnixMs takes = std::uniform_int_distribution<UnixMs>(20, 120)(random_);
    if (cut_off_[dp_id].contains(provider.name)) return {FailureClass::kConnect, 0, 0, 5};
    if (liars_.contains(dp_id)) return {FailureClass::kUpstream5xx, 500, 0, takes};
    auto [fault, of_model] = faults_[provider.name];
    if (!of_model.empty() && of_model != model) fault = Fault::kNone;
    switch (fault) {
        case Fault::kBroken:
            return {FailureClass::kUpstream5xx, 500, 0, takes};
        case Fault::kOverloaded:
            return {FailureClass::kOverloaded, 529, 0, takes};
        case Fault::kUnreachable:
            return {FailureClass::kConnect, 0, 0, 5};
        case Fault::kRefusesKey:
            return {FailureClass::kAuth, 401, 0, takes};
        case Fault::kLimited:
            return {FailureClass::kRateLimited, 429, now() + takes + 4'000, takes};
        case Fault::kNone:
            break;
    }
    if (happens(shape_.noise)) return {FailureClass::kUpstream5xx, 500, 0, takes};
    return {FailureClass::kNone, 200, 0, takes};
}

void SimFleet::report(const std::string& dp_id, v1::Signal signal) {
    if (happens(0.01)) return;  // a full queue drops
    if (!find(dp_id).connected()) {
        waiting_[dp_id].push_back(std::move(signal));
        return;
    }
    UnixMs& arrives = report_arrives_[dp_id];
    arrives = std::max(arrives, now() + delay());
    events_.at(arrives, [this, dp_id, signal = std::move(signal)] { deliver(dp_id, signal); });
}

SimDataPlane& SimFleet::find(const std::string& dp_id) {
    auto plane = std::find_if(data_planes_.begin(), data_planes_.end(), [&](const auto& one) {
        return one->id() == dp_id;
    });
    return **plane;
}

void SimFleet::deliver(const std::string& dp_id, const v1::Signal& told) {
    // Of a stream that has ended meanwhile: not acknowledged, so it comes again.
    if (!find(dp_id).connected()) {
        waiting_[dp_id].push_back(told);
        return;
    }
    set_members();
    v1::ReportRequest report;
    *report.add_signals() = told;
    controlplane::bound(report, now());
    v1::Signal signal = report.signals(0);
    bool late = false;
    for (const v1::Provider& provider : config_.providers()) {
        if (provider.name() != signal.provider()) continue;
        late = provider.etag() != signal.etag();
        if (late && shape_.mutant == Mutant::kLateNewsCounts) signal.set_etag(provider.etag());
    }
    if (signal.failure() == v1::FAILURE_CLASS_AUTH && shape_.mutant == Mutant::kAccountsNeedAVote) {
        signal.set_failure(v1::FAILURE_CLASS_UPSTREAM_5XX);
    }
    std::string before = late ? merger_->section().SerializeAsString() : std::string();
    bool changed = merger_->signal(dp_id, signal, now());
    if (shape_.mutant == Mutant::kOneSpeaksForAll && !signal.ok()) {
        for (const auto& plane : data_planes_) {
            changed = merger_->signal(plane->id(), signal, now()) || changed;
        }
    }
    if (late && before != merger_->section().SerializeAsString()) {
        violated("news of old settings changed the health of the new ones");
    }
    if (!changed) return;
    publish();
    check();
}

void SimFleet::publish() {
    section_ = merger_->section();
    for (std::size_t i = 0; i < data_planes_.size(); ++i) send_health(i);
}

// State of the world: whoever is late gets the newest, an older one in between may be skipped.
void SimFleet::send_health(std::size_t dp) {
    SimDataPlane& plane = *data_planes_[dp];
    if (!plane.connected()) return;
    if (shape_.mutant == Mutant::kDeafDataPlane && dp == 0) return;
    UnixMs lag = delay() + (happens(0.02) ? 300 : 0);  // sent again
    UnixMs& arrives = health_arrives_[plane.id()];
    arrives = std::max(arrives, now() + lag);
    events_.at(arrives, [this, &plane, section = published_to(plane), epoch = epoch_] {
        if (!plane.connected() || epoch != epoch_) return;
        plane.take_health(section, epoch);
        check_probes(section_);
    });
}

v1::HealthSection SimFleet::published_to(const SimDataPlane& dp) const {
    v1::HealthSection section = section_;
    for (v1::ProviderHealth& health : *section.mutable_providers()) {
        if (shape_.mutant == Mutant::kLeaseForAll && health.has_probe()) {
            health.mutable_probe()->set_dp_id(dp.id());
        }
    }
    return section;
}

void SimFleet::set_members() {
    std::vector<controlplane::Member> members;
    for (const auto& plane : data_planes_) {
        if (plane->connected()) members.push_back({plane->id(), true, plane->instance()});
    }
    if (merger_->set_members(std::move(members))) publish();
}

void SimFleet::set_fault(const std::string& provider, Fault fault, std::string model) {
    faults_[provider] = {fault, std::move(model)};
}

void SimFleet::cut_off(const std::string& dp_id, const std::set<std::string>& providers) {
    cut_off_[dp_id] = providers;
}

void SimFleet::lie(const std::string& dp_id) {
    liars_.insert(dp_id);
}

void SimFleet::partition(std::size_t dp, bool yes) {
    SimDataPlane& plane = *data_planes_[dp];
    plane.set_connected(!yes);
    set_members();
    if (yes) return;
    send_health(dp);
    for (v1::Signal& signal : std::exchange(waiting_[plane.id()], {}))
        report(plane.id(), std::move(signal));
}

void SimFleet::restart_control_plane() {
    auto chance = [this] { return std::uniform_real_distribution<double>(0, 1)(random_); };
    ++epoch_;
    merger_ = std::make_unique<controlplane::Merger>(epoch_, chance);
    merger_->configure(config_, now());
    section_ = merger_->section();
    for (std::size_t i = 0; i < data_planes_.size(); ++i) partition(i, true);
    for (std::size_t i = 0; i < data_planes_.size(); ++i) {
        // All within the time that the reconnecting takes; none is alone then.
        events_.after(500, [this, i] { partition(i, false); });
    }
}

void SimFleet::restart_data_plane(std::size_t dp) {
    SimDataPlane& plane = *data_planes_[dp];
    // Its last counters make it to the control plane, as they do when it is stopped in order.
    merger_->counters(plane.id(), plane.instance(), plane.counters(), now());
    for (const auto& [provider, totals] : plane.totals()) told_totals_[provider] += totals.attempts;
    plane.restart();
    send_health(dp);
}

void SimFleet::change_settings(const std::string& provider) {
    for (v1::Provider& one : *config_.mutable_providers()) {
        if (one.name() == provider) one.set_etag(one.etag() + "x");
    }
    merger_->configure(config_, now());
    section_ = merger_->section();
    for (const auto& plane : data_planes_) {
        events_.after(delay() + 100, [this, raw = plane.get(), config = config_] {
            raw->take_config(config);
            raw->take_health(section_, epoch_);
        });
    }
}

}  // namespace balancer::simulation
