// Holds as rows of the SQLite store.
#pragma once

#include <vector>

#include "controlplane/health/account_hold.hpp"
#include "controlplane/store/sqlite_handle.hpp"

namespace balancer::controlplane {

// As in revision_rows.hpp. In the order of provider and model.
Result<std::vector<AccountHold>> read_holds(const SqliteDatabase& database);

Result<void> replace_holds(SqliteDatabase& database, const std::vector<AccountHold>& holds);

}  // namespace balancer::controlplane
