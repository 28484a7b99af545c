// The data plane's /metrics: what the workers counted, summed, in Prometheus' text format. docs/operations.md lists
// every name.
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "dataplane/control/control.hpp"
#include "dataplane/models/model_call.hpp"
#include "dataplane/telemetry/metrics.hpp"

namespace balancer::dataplane {

struct Exposition {
    const std::vector<const WorkerMetrics*>& workers;
    const std::vector<std::string>& provider_names;  // by slot
    ControlStatus control;
    std::string id;
    bool ready = false;
    SteadyTime started;
    std::vector<ModelListStatus> model_lists = {};
    bool draining = false;
};

std::string expose(const Exposition& source);

}  // namespace balancer::dataplane
