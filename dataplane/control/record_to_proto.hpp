// What a data plane remembers of a request, as the control plane gets it.
#pragma once

#include "balancer/v1/data_plane.pb.h"
#include "dataplane/telemetry/request_ring.hpp"

namespace balancer::dataplane {

v1::RequestRecord to_proto(const RequestRecord& record);

// Several workers' findings in one answer; `nonce` is the question's.
v1::LookupAnswer to_answer(const RequestsFound& found, std::uint64_t nonce);

// The same of requests that are under way: the oldest.
v1::LookupAnswer to_list(RequestsFound found, std::uint64_t nonce);

}  // namespace balancer::dataplane
