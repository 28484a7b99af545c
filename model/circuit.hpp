// Whether a provider is in use: closed, open until a time, half-open, ramp. What leads to a change is decided elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.hpp"
#include "model/health_policy.hpp"

namespace balancer {

// The numbers are those of balancer.v1.Circuit.
enum class CircuitState : std::uint8_t {
    kClosed = 0,
    kOpen = 1,      // benched until a time
    kHalfOpen = 2,  // one request may try it
    kRamp = 3,      // a growing share of the sessions
};

// "closed", "open", "half_open", "ramp": the one spelling of logs, metrics, pages and balancerctl.
std::string_view name_of(CircuitState state);

// A pure core that both planes use: the fleet's circuit of a provider, and a data plane's own. Not thread-safe. `chance`
// is a number in [0, 1).
//
// The first bench lasts the policy's failure_cooldown. Each further one, until the circuit has stayed closed for as long as
// the last bench was, lasts twice as long, up to ten times the cooldown or an hour, less up to a fifth by chance, so that
// benches of one moment do not end in one. None lasts longer than reset_timeout: what is forgotten benches nobody.
class Circuit {
  public:
    // Opens, or stays open for longer. `told`: the time that the provider gave, in place of the back-off; 0: none.
    void open(const HealthPolicy& policy, double chance, UnixMs now, UnixMs told = 0);

    // A success while it was not closed: the sessions come back, a tenth of them first.
    void ramp(const HealthPolicy& policy, UnixMs now);

    // Opens until then, as somebody else has decided.
    void hold(UnixMs now, UnixMs until);

    void half_open(UnixMs now);
    void close(UnixMs now);

    // Takes the steps that time alone makes. True when something changed.
    bool tick(const HealthPolicy& policy, UnixMs now);

    // The clock was set: what is kept moves along (ClockWatch).
    void shift(Milliseconds by) {
        if (until_ != 0) until_ += by.count();
        if (since_ != 0) since_ += by.count();
    }

    // When tick() is next of use.
    std::optional<UnixMs> next_change() const;

    CircuitState state() const { return state_; }
    bool out() const { return state_ == CircuitState::kOpen || state_ == CircuitState::kHalfOpen; }
    UnixMs until() const { return until_; }  // open: its end; ramp: the next step; else 0
    UnixMs since() const { return since_; }  // of the state; 0: since ever
    bool told() const { return told_; }      // open until a time that the provider gave
    unsigned ramp_percent() const { return ramp_percent_; }

  private:
    void enter(CircuitState state, UnixMs now);

    CircuitState state_ = CircuitState::kClosed;
    UnixMs until_ = 0;
    UnixMs since_ = 0;
    bool told_ = false;
    unsigned ramp_percent_ = 100;
    unsigned strikes_ = 0;          // benches since it was last stable
    Milliseconds last_bench_{0};
};

}  // namespace balancer
