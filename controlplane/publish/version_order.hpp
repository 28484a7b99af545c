// The order of published versions.
#pragma once

#include <utility>

#include "balancer/v1/config.pb.h"

namespace balancer::controlplane {

inline bool equal(const v1::Version& a, const v1::Version& b) {
    return a.store_uuid() == b.store_uuid() && a.epoch() == b.epoch() && a.seq() == b.seq();
}

// Of one store.
inline bool newer(const v1::Version& a, const v1::Version& b) {
    return std::pair(a.epoch(), a.seq()) > std::pair(b.epoch(), b.seq());
}

}  // namespace balancer::controlplane
