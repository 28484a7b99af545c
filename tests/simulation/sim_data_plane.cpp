#include "tests/simulation/sim_data_plane.hpp"

#include <algorithm>
#include <utility>

#include "dataplane/exchange/match_route.hpp"

namespace balancer::simulation {

struct SimDataPlane::Request {
    std::shared_ptr<const Snapshot> snapshot;
    std::shared_ptr<const HealthView> view;
    std::string model;
    dataplane::Plan plan;
    std::size_t next = 0;
    std::size_t attempts = 0;
};

SimDataPlane::SimDataPlane(std::string dp_id, Surroundings around)
    : dp_id_(std::move(dp_id)), around_(std::move(around)) {
    restart();
}

void SimDataPlane::restart() {
    instance_ = dp_id_ + "-" + std::to_string(++restarts_);
    ++armed_;
    totals_.clear();
    probing_.clear();
    begun_.clear();
    view_ = std::make_shared<HealthView>();
    breaker_ = std::make_unique<dataplane::LocalBreaker>(slots_, dp_id_, [this] {
        return std::uniform_real_distribution<double>(0, 1)(around_.random);
    });
    if (snapshot_) breaker_->configure(*snapshot_);
}

void SimDataPlane::take_config(const v1::ConfigSection& config) {
    v1::Version version;
    version.set_seq(1);
    v1::CredentialSection credentials;
    for (const v1::Provider& provider : config.providers()) {
        v1::Credential& credential = *credentials.add_credentials();
        credential.set_ref(provider.credential_ref());
        credential.set_header_name("x-api-key");
        credential.set_header_value("k");
    }
    snapshot_ = compile_snapshot(version, config, credentials, slots_)->snapshot;
    breaker_->configure(*snapshot_);
    show();
}

void SimDataPlane::take_health(const v1::HealthSection& section, std::uint64_t epoch) {
    if (breaker_->fleet(section, epoch, clock())) show();
}

void SimDataPlane::set_connected(bool yes) {
    connected_ = yes;
    breaker_->connected(yes, clock());
    show();
}

void SimDataPlane::show() {
    breaker_->age(clock());
    view_ = breaker_->view();
    std::optional<UnixMs> expiry = breaker_->next_expiry(clock());
    std::uint64_t mine = ++armed_;
    if (!expiry) return;
    around_.events.at(*expiry - ahead_, [this, mine] {
        if (mine != armed_) return;
        breaker_->age(clock());
        show();
    });
}

bool SimDataPlane::knows(const std::string& provider) const {
    return snapshot_->find_provider(provider) != nullptr;
}

bool SimDataPlane::benched(const std::string& provider, const std::string& model) const {
    const Provider* found = snapshot_->find_provider(provider);
    return view_->admit(found->slot, model, 0).gate == Gate::kShut;
}

void SimDataPlane::serve(const std::string& model, dataplane::SessionKey session) {
    ++requests_;
    auto request = std::make_shared<Request>();
    request->snapshot = snapshot_;
    request->view = view_;
    request->model = model;
    request->plan = rank(dataplane::RankInput{
        *request->snapshot,
        *request->view,
        dataplane::match_routes(*request->snapshot, request->model),
        request->model,
        true,
        {},
        session,
        0,
        clock(),
        [](const Route&) { return 0U; },
        [] { return 0.0; },
    });
    next_candidate(request);
}

// What Exchange::try_candidates does, without bytes.
void SimDataPlane::next_candidate(const std::shared_ptr<Request>& request) {
    while (request->next < request->plan.candidates.size()) {
        const dataplane::Candidate& candidate = request->plan.candidates[request->next++];
        bool last = request->next == request->plan.candidates.size();
        dataplane::ProbeHold hold(candidate.probe);
        bool refused = candidate.probe != nullptr && !hold.held() && !request->plan.panic;
        if (refused && !(last && request->attempts == 0)) continue;
        ++request->attempts;
        const ProbeTicket* probe = hold.settle();
        if (probe != nullptr) {
            ++probing_[probe->id()];
            ++begun_[probe->id()];
        }
        std::string model(candidate.model.empty() ? request->model : candidate.model);
        Answer answer = around_.ask(dp_id_, *candidate.provider, model);
        UnixMs began = clock();
        around_.events.after(
            answer.takes,
            [this, request, candidate, answer, probe, began, instance = instance_] {
                if (instance != instance_) return;  // it died with the process
                ended(request, candidate, answer, probe, began);
            }
        );
        return;
    }
    ++unanswered_;
}

void SimDataPlane::ended(
    const std::shared_ptr<Request>& request,
    const dataplane::Candidate& candidate,
    const Answer& answer,
    const ProbeTicket* probe,
    UnixMs began
) {
    const Provider& provider = *candidate.provider;
    std::string model(candidate.model.empty() ? request->model : candidate.model);
    if (probe != nullptr && --probing_[probe->id()] == 0) probing_.erase(probe->id());
    Totals& totals = totals_[provider.name];
    ++totals.attempts;
    bool good = answer.failure == FailureClass::kNone;
    if (!good) ++totals.failures;
    bool counted = !good && answer.failure != FailureClass::kRateLimited;
    bool news = good ? view_->watch_success(provider.slot, model) : counted || answer.retry_at > 0;
    if (news || probe != nullptr) {
        AttemptOutcome outcome;
        outcome.provider = provider.name;
        outcome.etag = provider.etag;
        outcome.model = model;
        outcome.ok = good;
        outcome.failure = answer.failure;
        outcome.counted = counted;
        outcome.http_status = answer.http_status;
        outcome.started_at = began;
        outcome.at = clock();
        outcome.retry_at = answer.retry_at == 0 ? 0 : answer.retry_at + ahead_;
        if (probe != nullptr) {
            outcome.probe_id = probe->id();
            outcome.probe_epoch = probe->epoch();
        }
        report(outcome);
    }
    if (!good) next_candidate(request);
}

void SimDataPlane::report(const AttemptOutcome& outcome) {
    if (breaker_->record(outcome, clock())) show();
    around_.report(dp_id_, to_signal(outcome));
}

google::protobuf::RepeatedPtrField<v1::Counters> SimDataPlane::counters() const {
    google::protobuf::RepeatedPtrField<v1::Counters> all;
    for (const auto& [provider, totals] : totals_) {
        v1::Counters& item = *all.Add();
        item.set_provider(provider);
        item.set_attempts(totals.attempts);
        item.set_successes(totals.attempts - totals.failures);
        (*item.mutable_failures())[v1::FAILURE_CLASS_UPSTREAM_5XX] = totals.failures;
    }
    return all;
}

}  // namespace balancer::simulation
