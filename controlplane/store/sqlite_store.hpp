// The store on one machine: STATE_DIR/control-plane.db.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "controlplane/store/store.hpp"

namespace balancer::controlplane {

// Opens the store in `state_dir`, which must exist, and begins a new epoch in it. One opener at a
// time: STATE_DIR/lock is held with flock(2) until the store is destroyed, and a second opener gets
// an error that names the first one's process. WAL with synchronous=FULL: every change is on disk
// when the call returns, which blocks for a few milliseconds; changes are rare here (a person's
// edit, a start).
//
// `keys`: where the sealing keys are; without: the file in `state_dir`. Locked records are no error here: see keys().
Result<std::unique_ptr<Store>> open_sqlite_store(
    const std::filesystem::path& state_dir, std::optional<KeyPlaces> keys = std::nullopt
);

}  // namespace balancer::controlplane
