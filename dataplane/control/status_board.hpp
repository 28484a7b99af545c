// What the control thread shows to every other thread.
#pragma once

#include <mutex>

#include "dataplane/control/control.hpp"

namespace balancer::dataplane {

// Thread-safe. Read for metrics and pages, never on a request's path.
class StatusBoard {
  public:
    template <class Change>
    void change(Change apply) {
        std::lock_guard lock(mutex_);
        apply(status_);
    }

    ControlStatus read() const {
        std::lock_guard lock(mutex_);
        return status_;
    }

  private:
    mutable std::mutex mutex_;
    ControlStatus status_;
};

}  // namespace balancer::dataplane
