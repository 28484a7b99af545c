#include "controlplane/store/meta_rows.hpp"

#include <cstdlib>

namespace balancer::controlplane {

Result<std::optional<std::string>> read_meta(const SqliteDatabase& database, std::string_view key) {
    Result<SqliteStatement> statement = database.prepare("SELECT value FROM meta WHERE key = ?");
    if (!statement) return statement.error();
    Result<bool> found = statement->bind(key).step();
    if (!found) return found.error();
    std::optional<std::string> value;
    if (*found) value = statement->text(0);
    return value;
}

Result<std::uint64_t> read_meta_number(const SqliteDatabase& database, std::string_view key) {
    Result<std::optional<std::string>> value = read_meta(database, key);
    if (!value) return value.error();
    return std::strtoull(value->value_or("0").c_str(), nullptr, 10);
}

Result<void> write_meta(SqliteDatabase& database, std::string_view key, std::string_view value) {
    Result<SqliteStatement> statement =
        database.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)");
    if (!statement) return statement.error();
    return statement->bind(key).bind(value).run();
}

}  // namespace balancer::controlplane
