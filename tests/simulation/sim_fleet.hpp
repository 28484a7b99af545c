// A whole fleet in virtual time: the real Merger, data planes with the real breaker, providers and
// a network that fail on command, and checkers that look at every step.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/health/merger.hpp"
#include "tests/simulation/event_queue.hpp"
#include "tests/simulation/sim_data_plane.hpp"

namespace balancer::simulation {

// Faults of this model, never of the product: each checker has to catch one of them.
enum class Mutant {
    kNone,
    kOneSpeaksForAll,    // a report counts as one of every data plane
    kLeaseForAll,        // every data plane is told that the lease is its own
    kNothingSpared,      // what is spared is published as open
    kCountsTwice,        // a repeated report counts as one of another process
    kLateNewsCounts,     // outcomes of the old settings are told as of the new ones
    kDeafDataPlane,      // one data plane never hears of health
    kAccountsNeedAVote,  // a refused key is told as an ordinary failure
};

struct FleetShape {
    std::uint64_t seed = 1;
    std::size_t data_planes = 5;
    std::vector<std::string> providers = {"a", "b", "c"};
    double requests_per_second = 3;  // of each data plane
    double noise = 0.003;            // attempts that fail for no reason
    UnixMs cooldown = 2'000;
    std::map<std::size_t, UnixMs> ahead = {};  // clocks, by the number of the data plane, from 1
    Mutant mutant = Mutant::kNone;
};

// How a provider fares.
enum class Fault { kNone, kBroken, kOverloaded, kUnreachable, kRefusesKey, kLimited };

// Single-threaded. A run is the same for the same shape and the same calls.
class SimFleet {
  public:
    static constexpr UnixMs kStart = 1'700'000'000'000;

    explicit SimFleet(FleetShape shape);

    void run_for(UnixMs ms) { events_.run_until(events_.now() + ms); }
    UnixMs now() const { return events_.now(); }

    // Faults. A model: kOverloaded and kLimited concern this one only.
    void set_fault(const std::string& provider, Fault fault, std::string model = "");
    void cut_off(
        const std::string& dp_id, const std::set<std::string>& providers
    );                                         // its way to them
    void lie(const std::string& dp_id);        // sees every provider fail
    void partition(std::size_t dp, bool yes);  // from the control plane
    void restart_control_plane();
    void restart_data_plane(std::size_t dp);
    void change_settings(const std::string& provider);  // another etag, on every data plane in time
    void stop_requests() { serving_ = false; }
    void stop_noise() { shape_.noise = 0; }
    void end_faults() {
        faults_.clear();
        cut_off_.clear();
        liars_.clear();
    }

    // What is believed to be well, by whoever checks: nothing about it may ever be taken out.
    void expect_well(std::set<std::string> providers) { expected_well_ = std::move(providers); }

    std::vector<std::string> violations() const;

    // By the control plane, and by every data plane.
    bool out(const std::string& provider, const std::string& model = "") const;
    bool benched_everywhere(const std::string& provider, const std::string& model) const;
    UnixMs attempts_at(const std::string& provider) const;
    const controlplane::Merger& merger() const { return *merger_; }
    std::vector<std::unique_ptr<SimDataPlane>>& data_planes() { return data_planes_; }
    UnixMs wrong_ms() const { return wrong_ms_; }  // of providers out that were well
    bool settled() const;                          // nobody is out, for anybody
    bool spared_somebody() const { return spared_somebody_; }
    void check_end();  // everything is quiet: what must hold then

  private:
    void begin_traffic(std::size_t dp);
    void begin_reports(std::size_t dp);
    void tick();
    Answer answer(const std::string& dp_id, const Provider& provider, const std::string& model);
    UnixMs delay() { return std::uniform_int_distribution<UnixMs>(1, 20)(random_); }
    bool happens(double share) {
        return std::uniform_real_distribution<double>(0, 1)(random_) < share;
    }
    SimDataPlane& find(const std::string& dp_id);
    void report(const std::string& dp_id, v1::Signal signal);
    void deliver(const std::string& dp_id, const v1::Signal& signal);
    void publish();
    void send_health(std::size_t dp);
    v1::HealthSection published_to(const SimDataPlane& dp) const;
    void set_members();
    void check();
    std::vector<std::string> held_out() const;
    void check_told();
    void check_routes(const v1::HealthSection& section);
    void check_probes(const v1::HealthSection& section);
    void violated(const std::string& what);

    FleetShape shape_;
    std::mt19937_64 random_;
    EventQueue events_;
    v1::ConfigSection config_;
    std::uint64_t epoch_ = 1;
    std::unique_ptr<controlplane::Merger> merger_;
    v1::HealthSection section_;  // as last published
    bool spared_somebody_ = false;
    std::vector<std::unique_ptr<SimDataPlane>> data_planes_;
    std::map<std::string, std::vector<v1::Signal>> waiting_;  // of data planes that are cut off
    std::map<std::string, UnixMs> report_arrives_;            // a stream keeps its order
    std::map<std::string, UnixMs> health_arrives_;
    std::map<std::string, std::pair<Fault, std::string>> faults_;
    std::map<std::string, std::set<std::string>> cut_off_;
    std::set<std::string> liars_;
    std::set<std::string> expected_well_;
    std::map<std::string, std::uint64_t> told_totals_;  // attempts of processes that have ended
    std::map<std::string, UnixMs> attempts_;
    bool serving_ = true;
    UnixMs wrong_ms_ = 0;
    UnixMs checked_at_ = kStart;
    std::set<std::string> violations_;
};

}  // namespace balancer::simulation
