// The tables of the SQLite store, and the way there from those of every older release.
#pragma once

#include "controlplane/store/sqlite_handle.hpp"

namespace balancer::controlplane {

// Brings the database to the newest schema. Inside a transaction: all steps or none. Refuses one
// that a newer release has written.
Result<void> migrate(SqliteDatabase& database);

}  // namespace balancer::controlplane
