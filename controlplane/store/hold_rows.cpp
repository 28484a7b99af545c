#include "controlplane/store/hold_rows.hpp"

namespace balancer::controlplane {

Result<std::vector<AccountHold>> read_holds(const SqliteDatabase& database) {
    Result<SqliteStatement> rows = database.prepare(
        "SELECT provider, model, etag, until_ms, why FROM holds ORDER BY provider, model"
    );
    if (!rows) return rows.error();
    std::vector<AccountHold> all;
    for (;;) {
        Result<bool> more = rows->step();
        if (!more) return more.error();
        if (!*more) return all;
        all.push_back({rows->text(0), rows->text(1), rows->text(2), rows->number(3), rows->text(4)});
    }
}

Result<void> replace_holds(SqliteDatabase& database, const std::vector<AccountHold>& holds) {
    if (Result<void> gone = database.execute("DELETE FROM holds"); !gone) return gone;
    for (const AccountHold& hold : holds) {
        Result<SqliteStatement> statement = database.prepare(
            "INSERT INTO holds (provider, model, etag, until_ms, why) VALUES (?, ?, ?, ?, ?)"
        );
        if (!statement) return statement.error();
        Result<void> kept = statement->bind(hold.provider)
                                .bind(hold.model)
                                .bind(hold.etag)
                                .bind(hold.until)
                                .bind(hold.why)
                                .run();
        if (!kept) return kept;
    }
    return {};
}

}  // namespace balancer::controlplane
