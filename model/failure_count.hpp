// How many failures in a row count against a provider: the original's rule, without the bench that follows from it.
#pragma once

#include <string>

#include "base/clock.hpp"
#include "model/failure.hpp"
#include "model/health_policy.hpp"

namespace balancer {

// A pure core that both planes use; not thread-safe.
//
// Many requests that meet one hiccup together are one piece of evidence, not many: a failure raises the count only when
// its attempt began after the last counted one had ended. A success forgets, unless its attempt began before that end.
// Failures older than the policy's reset_timeout are forgotten. Beginnings and ends are of one clock, that of the data plane
// which made the attempts; `now` may be of another.
class FailureCount {
  public:
    // True when the count was raised.
    bool add(const AttemptOutcome& outcome, UnixMs now);

    // A success of an attempt that began at `started_at`. True when something was forgotten.
    bool forgive(UnixMs started_at);

    // True when what was held is too old to be held any longer.
    bool age(const HealthPolicy& policy, UnixMs now);

    void reset() { *this = FailureCount(); }

    // The clock was set (ClockWatch).
    void shift(Milliseconds by) {
        for (UnixMs* at : {&first_, &last_, &last_end_}) {
            if (*at != 0) *at += by.count();
        }
    }

    unsigned count() const { return count_; }
    UnixMs first() const { return first_; }  // of those that count; 0: none
    UnixMs last() const { return last_; }
    UnixMs last_end() const { return last_end_; }  // of the attempt behind last()
    FailureClass why() const { return why_; }               // of the last one
    bool local_origin() const { return local_origin_; }     // of the last one
    const std::string& words() const { return words_; }     // of the last one

  private:
    unsigned count_ = 0;
    UnixMs first_ = 0;
    UnixMs last_ = 0;
    UnixMs last_end_ = 0;
    FailureClass why_ = FailureClass::kNone;
    bool local_origin_ = false;
    std::string words_;
};

}  // namespace balancer
