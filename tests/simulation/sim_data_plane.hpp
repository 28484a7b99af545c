// A data plane of the simulated fleet: the real LocalBreaker and the real rank(), simulated
// requests.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "dataplane/control/local_breaker.hpp"
#include "dataplane/exchange/probe_hold.hpp"
#include "dataplane/exchange/rank.hpp"
#include "model/from_proto.hpp"
#include "tests/simulation/event_queue.hpp"

namespace balancer::simulation {

// How an attempt would end, and when.
struct Answer {
    FailureClass failure = FailureClass::kNone;
    unsigned http_status = 200;
    UnixMs retry_at = 0;
    UnixMs takes = 50;
};

// What it needs of the world around it.
struct Surroundings {
    EventQueue& events;
    std::mt19937_64& random;
    // What this data plane would meet at that provider now.
    std::function<Answer(const std::string& dp_id, const Provider&, const std::string& model)> ask;
    // A report to the control plane.
    std::function<void(const std::string& dp_id, v1::Signal)> report;
};

struct Totals {
    std::uint64_t attempts = 0;
    std::uint64_t failures = 0;
};

// Lives in the simulation, on its one thread.
class SimDataPlane {
  public:
    SimDataPlane(std::string dp_id, Surroundings around);

    // As the sync stream brings them.
    void take_config(const v1::ConfigSection& config);
    void take_health(const v1::HealthSection& section, std::uint64_t epoch);
    void set_connected(bool yes);

    // One request of a client: candidates in turn, until one answers.
    void serve(const std::string& model, dataplane::SessionKey session);

    google::protobuf::RepeatedPtrField<v1::Counters> counters() const;
    void restart();  // forgets everything but its name

    // What its wall clock says more than the control plane's; before anything has happened.
    void set_ahead(UnixMs ms) { ahead_ = ms; }

    const std::string& id() const { return dp_id_; }
    const std::string& instance() const { return instance_; }
    bool connected() const { return connected_; }
    bool knows(const std::string& provider) const;
    const HealthView& view() const { return *view_; }
    bool benched(const std::string& provider, const std::string& model) const;
    const std::map<std::string, Totals>& totals() const { return totals_; }
    std::uint64_t requests() const { return requests_; }
    std::uint64_t unanswered() const { return unanswered_; }

    // Probes on their way, by ticket id: the tickets are those of the fleet and of this data plane.
    const std::map<std::string, int>& probes_under_way() const { return probing_; }

    // Requests that ever went out with the ticket of that lease, in this process.
    int probes_begun(const std::string& lease) const {
        auto found = begun_.find(lease);
        return found == begun_.end() ? 0 : found->second;
    }

  private:
    UnixMs clock() const { return around_.events.now() + ahead_; }

    struct Request;
    void next_candidate(const std::shared_ptr<Request>& request);
    void ended(
        const std::shared_ptr<Request>& request,
        const dataplane::Candidate& candidate,
        const Answer& answer,
        const ProbeTicket* probe,
        UnixMs began
    );
    void report(const AttemptOutcome& outcome);
    void show();

    std::string dp_id_;
    UnixMs ahead_ = 0;
    int restarts_ = 0;
    std::string instance_;
    Surroundings around_;
    ProviderSlots slots_;
    std::shared_ptr<const Snapshot> snapshot_;
    std::unique_ptr<dataplane::LocalBreaker> breaker_;
    std::shared_ptr<const HealthView> view_ = std::make_shared<HealthView>();
    std::uint64_t armed_ = 0;  // the latest timer; older ones are void
    bool connected_ = true;
    std::map<std::string, Totals> totals_;
    std::map<std::string, int> probing_;
    std::map<std::string, int> begun_;
    std::uint64_t requests_ = 0;
    std::uint64_t unanswered_ = 0;
};

}  // namespace balancer::simulation
