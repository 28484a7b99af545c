// The sealed store in SQLite: what is on disk, what somebody with the database can do to it, and its keys.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/file.hpp"
#include "controlplane/store/sqlite_store.hpp"
#include "tests/unit/controlplane/admin/killed_process.hpp"
#include "tests/unit/controlplane/admin/temp_dir.hpp"

namespace balancer::controlplane {
namespace {

using test::TempDir;

constexpr SealedKind kKey = SealedKind::kProviderKey;

class SqliteSealed : public testing::Test {
  protected:
    void open(std::optional<KeyPlaces> places = std::nullopt) {
        store_.reset();
        Result<std::unique_ptr<Store>> opened = open_sqlite_store(dir_.path(), std::move(places));
        ASSERT_TRUE(opened) << opened.error().text();
        store_ = *std::move(opened);
    }

    std::filesystem::path key_file() const { return dir_.path() / KeyPlaces::kFileName; }

    // Of the keys in another place than the file's.
    KeyPlaces only(char digit) const {
        KeyPlaces places;
        places.file = dir_.path() / "no-such.keys";
        places.variable = std::string(2 * kAeadKeyBytes, digit);
        return places;
    }

    std::uint64_t put(std::string_view name, std::string_view content, SealedKind kind = kKey) {
        Result<std::uint64_t> generation = store_->sealed().put(kind, name, content, 0);
        EXPECT_TRUE(generation) << generation.error().text();
        return generation ? *generation : 0;
    }

    // Its content, or why not.
    std::string get(std::string_view name, SealedKind kind = kKey) {
        Result<std::optional<SealedRecord>> record = store_->sealed().get(kind, name);
        if (record) return *record ? std::string((*record)->content.view()) : "none";
        if (is(record.error(), SealedErrc::kLocked)) return "locked";
        if (is(record.error(), SealedErrc::kTampered)) return "tampered";
        return record.error().text();
    }

    // SQL on the closed database; returns the first column of the first row.
    std::string sql(const std::string& text) {
        store_.reset();
        sqlite3* raw = nullptr;
        EXPECT_EQ(sqlite3_open((dir_.path() / "control-plane.db").c_str(), &raw), SQLITE_OK);
        std::string value;
        auto take = [](void* out, int, char** columns, char**) {
            if (columns[0] != nullptr) *static_cast<std::string*>(out) = columns[0];
            return 0;
        };
        char* problem = nullptr;
        EXPECT_EQ(sqlite3_exec(raw, text.c_str(), take, &value, &problem), SQLITE_OK) << problem;
        sqlite3_free(problem);
        sqlite3_close(raw);
        return value;
    }

    bool on_disk(const std::string& text) const {
        for (const auto& file : std::filesystem::directory_iterator(dir_.path())) {
            if (file.is_regular_file() && read_file(file.path())->find(text) != std::string::npos) return true;
        }
        return false;
    }

    std::vector<KeyUse> keys() { return store_->keys().keys().value(); }

    TempDir dir_;
    std::unique_ptr<Store> store_;
};

Revision revision(std::uint64_t parent, const std::string& yaml) {
    Revision next;
    next.parent = parent;
    next.yaml = yaml;
    next.yaml_sha256 = to_hex(sha256(yaml));
    next.file_sha256 = next.yaml_sha256;
    return next;
}

// A page of metrics lists them each time, and there may be a gigabyte of texts.
TEST_F(SqliteSealed, AListReadsFrontsOnly) {
    open();
    const std::string content(4 << 20, 'x');
    put("large", content, SealedKind::kConfigText);
    open();
    sqlite3_memory_highwater(1);
    const sqlite3_int64 before = sqlite3_memory_used();
    Result<std::vector<SealedEntry>> list = store_->sealed().list(SealedKind::kConfigText);
    ASSERT_TRUE(list) << list.error().text();
    ASSERT_EQ(list->size(), 1U);
    EXPECT_FALSE(list->front().locked);
    EXPECT_FALSE(list->front().key_id.empty());
    EXPECT_LT(sqlite3_memory_highwater(0) - before, 1 << 20);
    EXPECT_EQ((*store_->sealed().get(SealedKind::kConfigText, "large"))->content.view(), content);
}

TEST_F(SqliteSealed, IsThereAfterARestartAndNotInClear) {
    open();
    std::uint64_t generation = put("a", "sk-canary-content");
    ASSERT_TRUE(store_->append(revision(0, "key: sk-canary-in-a-text\nother: sealed:a\n")));
    EXPECT_FALSE(on_disk("canary"));
    open();
    EXPECT_EQ(get("a"), "sk-canary-content");
    EXPECT_EQ((*store_->sealed().get(kKey, "a"))->generation, generation);
    EXPECT_EQ((*store_->head())->yaml, "key: sk-canary-in-a-text\nother: sealed:a\n");
    EXPECT_FALSE(on_disk("canary"));
}

TEST_F(SqliteSealed, RefusesEveryChangeOfARow) {
    open();
    put("a", "content of a");
    put("b", "content of b");
    put("c", "content of c");
    put("c", "an account", SealedKind::kOAuthAccount);
    const std::string whole = sql("SELECT length(record) FROM sealed WHERE name = 'a'");
    // Two rows' contents, swapped; a row under another name, kind and generation; a row that was cut.
    sql("CREATE TEMP TABLE t AS SELECT name, record FROM sealed WHERE kind = 'provider_key';"
        "UPDATE sealed SET record = (SELECT record FROM t WHERE name = 'b') WHERE name = 'a';"
        "UPDATE sealed SET record = (SELECT record FROM t WHERE name = 'a') WHERE name = 'b';"
        "UPDATE sealed SET record = (SELECT record FROM t WHERE name = 'c') WHERE kind = 'oauth_account'");
    open();
    EXPECT_EQ(get("a"), "tampered");
    EXPECT_EQ(get("b"), "tampered");
    EXPECT_EQ(get("c", SealedKind::kOAuthAccount), "tampered");
    EXPECT_EQ(get("c"), "content of c") << "one bad record hides no other";
    EXPECT_EQ(store_->keys().problems()->size(), 3u);
    sql("UPDATE sealed SET generation = generation + 1 WHERE name = 'c' AND kind = 'provider_key'");
    open();
    EXPECT_EQ(get("c"), "tampered");
    sql("UPDATE sealed SET generation = generation - 1, record = substr(record, 1, 20)"
        " WHERE name = 'c' AND kind = 'provider_key'");
    open();
    EXPECT_EQ(get("c"), "tampered");
    // A bad record can be replaced.
    std::uint64_t generation = store_->sealed().list(kKey)->front().generation;
    ASSERT_TRUE(store_->sealed().put(kKey, "a", "new", generation));
    EXPECT_EQ(get("a"), "new");
    EXPECT_NE(whole, "");
}

TEST_F(SqliteSealed, RefusesWhatAnOlderGenerationHeld) {
    open();
    std::uint64_t first = put("a", "old token");
    sql("CREATE TABLE kept AS SELECT * FROM sealed");
    open();
    ASSERT_TRUE(store_->sealed().put(kKey, "a", "new token", first));
    sql("UPDATE sealed SET record = (SELECT record FROM kept)");
    open();
    EXPECT_EQ(get("a"), "tampered");
}

TEST_F(SqliteSealed, RefusesARecordOfAnotherStore) {
    open();
    put("a", "content");
    sql("UPDATE meta SET value = 'another-store' WHERE key = 'store_uuid'");
    open();
    EXPECT_EQ(get("a"), "tampered");
}

TEST_F(SqliteSealed, RecordsUnderAMissingKeyAreLockedAndTheRestServes) {
    open(only('a'));
    std::uint64_t generation = put("old", "under a");
    open(only('b'));
    EXPECT_EQ(get("old"), "locked");
    put("new", "under b");
    EXPECT_EQ(get("new"), "under b");
    std::vector<SealedEntry> entries = store_->sealed().list(kKey).value();
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_FALSE(entries[0].locked);
    EXPECT_TRUE(entries[1].locked);
    EXPECT_EQ(entries[1].generation, generation);
    std::vector<KeyUse> uses = keys();
    ASSERT_EQ(uses.size(), 2u);
    EXPECT_TRUE(uses[0].active);
    EXPECT_FALSE(uses[1].source);
    EXPECT_EQ(uses[1].total(), 1u);
    std::vector<SealedProblem> problems = store_->keys().problems().value();
    ASSERT_EQ(problems.size(), 1u);
    EXPECT_EQ(problems[0].name, "old");
    EXPECT_THAT(problems[0].why, testing::HasSubstr(entries[1].key_id));
    // The key is back, and the other one is old.
    KeyPlaces both = only('b');
    *both.variable += "," + std::string(2 * kAeadKeyBytes, 'a');
    open(both);
    EXPECT_EQ(get("old"), "under a");
    EXPECT_EQ(get("new"), "under b");
}

TEST_F(SqliteSealed, RotatesAndRetires) {
    open();
    std::uint64_t generation = put("a", "content");
    ASSERT_TRUE(store_->append(revision(0, "a: sealed:a\n")));
    const std::string first = keys().front().id;
    const UnixMs since = keys().front().active_since;
    Result<Rewrapped> done = store_->keys().rotate();
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(done->records, 2u);
    EXPECT_TRUE(done->left.empty());
    std::vector<KeyUse> uses = keys();
    ASSERT_EQ(uses.size(), 2u);
    EXPECT_NE(uses[0].id, first);
    EXPECT_GE(uses[0].active_since, since);
    EXPECT_GT(uses[0].active_since, 0);
    EXPECT_EQ(uses[0].total(), 2u);
    EXPECT_EQ(uses[1].id, first);
    EXPECT_EQ(uses[1].total(), 0u);
    EXPECT_EQ(get("a"), "content");
    EXPECT_EQ((*store_->sealed().get(kKey, "a"))->generation, generation) << "who replaces it is not disturbed";
    ASSERT_TRUE(store_->keys().retire(first));
    EXPECT_EQ(keys().size(), 1u);
    open();
    EXPECT_EQ(get("a"), "content");
    EXPECT_EQ((*store_->head())->yaml, "a: sealed:a\n");
    EXPECT_EQ(store_->keys().rewrap()->records, 0u);
}

TEST_F(SqliteSealed, RetiresNoKeyThatARecordNeeds) {
    open();
    put("a", "content");
    const std::string first = keys().front().id;
    // As a rotation leaves it that was killed between the file and the records.
    store_.reset();
    KeyPlaces places = KeyPlaces::in(dir_.path(), {});
    ASSERT_TRUE(KeyRing::open(places)->rotate());
    open();
    Result<void> refused = store_->keys().retire(first);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), testing::HasSubstr("1 records"));
    EXPECT_EQ(store_->keys().rewrap()->records, 1u);
    EXPECT_TRUE(store_->keys().retire(first));
    EXPECT_EQ(get("a"), "content");
}

TEST_F(SqliteSealed, ARotationLeavesWhatItCannotOpenAndNamesIt) {
    open(only('a'));
    put("locked", "under a");
    open();
    put("good", "content");
    put("bad", "content");
    sql("UPDATE sealed SET generation = generation + 100 WHERE name = 'bad'");
    open();
    Result<Rewrapped> done = store_->keys().rotate();
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(done->records, 1u);
    ASSERT_EQ(done->left.size(), 2u);
    EXPECT_EQ(done->left[0].name, "bad");
    EXPECT_EQ(done->left[0].code, SealedErrc::kTampered);
    EXPECT_EQ(done->left[1].name, "locked");
    EXPECT_EQ(done->left[1].code, SealedErrc::kLocked);
    EXPECT_EQ(get("good"), "content");
    EXPECT_EQ(get("locked"), "locked");
}

TEST_F(SqliteSealed, AVariableWithANewKeyInFrontRotatesAtTheStart) {
    open(only('a'));
    put("a", "content");
    KeyPlaces both = only('b');
    *both.variable += "," + std::string(2 * kAeadKeyBytes, 'a');
    open(both);
    Result<Rewrapped> refused = store_->keys().rotate();
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), testing::HasSubstr("in front of the old one"));
    EXPECT_EQ(store_->keys().rewrap()->records, 1u);
    open(only('b'));
    EXPECT_EQ(get("a"), "content");
}

// Killed before each write of the key file and of the database: afterwards everything opens, under the one key or the
// other, and the next start brings it to its end.
TEST_F(SqliteSealed, ARotationThatIsKilledAtAnyStepLosesNothing) {
    int killed = 0;
    int finished_by_the_start = 0;
    for (int kill_at = 0;; ++kill_at) {
        ASSERT_LT(kill_at, 500) << "it never comes to its end";
        TempDir dir;
        {
            std::unique_ptr<Store> store = open_sqlite_store(dir.path()).value();
            for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(store->sealed().put(kKey, name, name, 0));
            ASSERT_TRUE(store->append(revision(0, "[sealed:a, sealed:b, sealed:c]\n")));
        }
        bool was_killed = test::killed_at(kill_at, [&](auto arm) {
            KeyPlaces places = KeyPlaces::in(dir.path(), {});
            places.before = [](FileStep, const std::filesystem::path&) -> Result<void> {
                test::disk_step();
                return {};
            };
            std::unique_ptr<Store> store = open_sqlite_store(dir.path(), places).value();
            arm();
            if (!store->keys().rotate()) std::abort();
            test::disk_steps_left = -1;
        });
        std::unique_ptr<Store> store = open_sqlite_store(dir.path()).value();
        Result<Rewrapped> settled = store->keys().rewrap();
        ASSERT_TRUE(settled) << settled.error().text();
        EXPECT_TRUE(settled->left.empty());
        finished_by_the_start += settled->records > 0 ? 1 : 0;
        std::vector<KeyUse> uses = store->keys().keys().value();
        EXPECT_EQ(uses.front().total(), 4u) << "killed at step " << kill_at;
        for (const char* name : {"a", "b", "c"}) {
            EXPECT_EQ((*store->sealed().get(kKey, name))->content.view(), name);
        }
        EXPECT_EQ((*store->head())->yaml, "[sealed:a, sealed:b, sealed:c]\n");
        if (!was_killed) break;
        ++killed;
    }
    EXPECT_GT(killed, 5);
    EXPECT_GT(finished_by_the_start, 0) << "no step came between the file and the records";
}

// Schema 2 knew no holds and no meant emptiness yet, schema 3 did; both had the texts in clear.
TEST_F(SqliteSealed, TextsOfAnOlderReleaseAreSealedAndLeaveNoTrace) {
    const std::string yaml = "auth_value: sk-canary-in-clear\n";
    const std::string digest = to_hex(sha256(yaml));
    for (const char* back_to : {
             "ALTER TABLE revisions DROP COLUMN may_be_empty; DROP TABLE holds; PRAGMA user_version=2;",
             "INSERT INTO holds VALUES ('p', 'm', 'e', 5, 'why'); PRAGMA user_version=3;",
         }) {
        SCOPED_TRACE(back_to);
        open();
        store_.reset();
        sql("DROP TABLE sealed; DELETE FROM meta WHERE key LIKE 'seal%';"
            "CREATE TABLE texts (sha256 TEXT PRIMARY KEY, yaml TEXT NOT NULL) WITHOUT ROWID;"
            "INSERT INTO texts VALUES ('" + digest + "', '" + yaml + "');"
            "DELETE FROM revisions;"
            "INSERT INTO revisions (number, parent, at_ms, actor, source, reason, summary, yaml_sha256, file_sha256)"
            " VALUES (1, 0, 0, '', 'start', '', '', '" + digest + "', '" + digest + "');"
            "INSERT OR REPLACE INTO head VALUES (1, 1);" + back_to);
        ASSERT_TRUE(on_disk("canary"));
        {
            // A backup reads meanwhile: the start succeeds, and the traces go with a later one.
            sqlite3* raw = nullptr;
            ASSERT_EQ(sqlite3_open((dir_.path() / "control-plane.db").c_str(), &raw), SQLITE_OK);
            sqlite3_exec(raw, "BEGIN; SELECT count(*) FROM texts;", nullptr, nullptr, nullptr);
            open();
            EXPECT_EQ((*store_->head())->yaml, yaml);
            sqlite3_close(raw);
        }
        open();
        EXPECT_EQ((*store_->head())->yaml, yaml);
        EXPECT_FALSE(on_disk("canary"));
        open();
        EXPECT_EQ((*store_->head())->yaml, yaml);
    }
    ASSERT_EQ(store_->holds()->size(), 1u) << "what schema 3 kept besides is kept";
    EXPECT_EQ(store_->holds()->front().until, 5);
}

TEST_F(SqliteSealed, AKeyOfAProviderGoesWithTheLastTextThatNamesIt) {
    open();
    put("delta.0123abcd", "sk-1");
    ASSERT_TRUE(store_->append(revision(0, "auth_value: sealed:delta.0123abcd\n")));
    ASSERT_TRUE(store_->append(revision(1, "auth_value: passthrough\n")));
    EXPECT_EQ(get("delta.0123abcd"), "sk-1") << "a rollback may need it";
    put("orphan.0123abcd", "of an edit that was killed");
    for (std::uint64_t i = 2; i <= Store::kRevisionsKept + 1; ++i) {
        ASSERT_TRUE(store_->append(revision(i, "a: " + std::to_string(i) + "\n")));
    }
    EXPECT_EQ(get("delta.0123abcd"), "none");
    EXPECT_EQ(get("orphan.0123abcd"), "none");
}

TEST_F(SqliteSealed, ALockedTextIsSaidOfItsRevisionAndKeepsTheKeys) {
    open(only('a'));
    ASSERT_TRUE(store_->append(revision(0, "a: 1\n")));
    open(only('b'));
    Result<std::optional<Revision>> head = store_->head();
    ASSERT_TRUE(head && *head);
    EXPECT_EQ((*head)->number, 1u);
    EXPECT_EQ((*head)->yaml, "");
    EXPECT_THAT((*head)->text_problem, testing::HasSubstr("locked"));
    EXPECT_EQ(store_->history(10)->size(), 1u);
    put("delta.0123abcd", "sk-1");
    ASSERT_TRUE(store_->append(revision(1, "a: 2\n")));
    EXPECT_EQ(get("delta.0123abcd"), "sk-1") << "nobody can say whether the locked text needs it";
    ASSERT_TRUE(store_->append(revision(2, "a: 1\n")));
    EXPECT_EQ((*store_->revision(1))->yaml, "a: 1\n") << "the same text once more mends it";
}

TEST_F(SqliteSealed, RefusesAnOpenKeyFile) {
    open();
    store_.reset();
    ASSERT_EQ(::chmod(key_file().c_str(), 0444), 0);
    Result<std::unique_ptr<Store>> refused = open_sqlite_store(dir_.path());
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), testing::HasSubstr("chmod 400"));
}

}  // namespace
}  // namespace balancer::controlplane
