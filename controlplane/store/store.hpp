// What the control plane must remember over a restart. SQLite today (sqlite_store.hpp); etcd for a
// cluster later.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace balancer::controlplane {

// Who this store is. Versions are ordered inside one store_uuid by (epoch, seq).
struct StoreIdentity {
    std::string store_uuid;   // made once, with the store
    std::uint64_t epoch = 0;  // grows by one at each opening
};

// `balancerctl providers enable|disable`, kept until the file's own `enabled` of that provider
// changes.
struct Override {
    std::string provider;
    bool enabled = true;
    bool enabled_in_file = true;  // what the file said when the override was made
    std::string reason;
    std::string actor;
    UnixMs at = 0;
};

// Lives on the control plane's loop. A change that returns success is on disk and survives a power
// cut.
class Store {
  public:
    virtual ~Store() = default;

    virtual const StoreIdentity& identity() const = 0;

    // By provider name.
    virtual Result<std::vector<Override>> overrides() const = 0;

    // Adds it, or takes the place of the one for the same provider.
    virtual Result<void> put_override(const Override& override) = 0;

    // No error when there is none.
    virtual Result<void> drop_override(std::string_view provider) = 0;
};

}  // namespace balancer::controlplane
