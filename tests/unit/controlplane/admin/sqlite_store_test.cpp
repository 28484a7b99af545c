#include "controlplane/store/sqlite_store.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/file.hpp"
#include "tests/unit/controlplane/admin/temp_dir.hpp"

namespace balancer::controlplane {
namespace {

using test::TempDir;

std::unique_ptr<Store> open(const TempDir& dir) {
    Result<std::unique_ptr<Store>> store = open_sqlite_store(dir.path());
    EXPECT_TRUE(store.has_value()) << (store ? "" : store.error().text());
    return store ? *std::move(store) : nullptr;
}

TEST(SqliteStore, KeepsItsUuidAndRaisesItsEpochAtEachStart) {
    TempDir dir;
    StoreIdentity first = open(dir)->identity();
    StoreIdentity second = open(dir)->identity();
    EXPECT_EQ(first.store_uuid.size(), 36U);
    EXPECT_EQ(second.store_uuid, first.store_uuid);
    EXPECT_EQ(first.epoch, 1U);
    EXPECT_EQ(second.epoch, 2U);
}

TEST(SqliteStore, DifferentStoresHaveDifferentUuids) {
    TempDir a;
    TempDir b;
    EXPECT_NE(open(a)->identity().store_uuid, open(b)->identity().store_uuid);
}

Revision revision(std::uint64_t parent, const std::string& yaml) {
    Revision next;
    next.parent = parent;
    next.at = 17;
    next.actor = "me@host";
    next.source = RevisionSource::kCli;
    next.reason = "why; '";
    next.summary = "provider 'a' added";
    next.yaml = yaml;
    next.yaml_sha256 = to_hex(sha256(yaml));
    next.file_sha256 = "of the file";
    return next;
}

TEST(SqliteStore, RemembersRevisionsOverARestart) {
    TempDir dir;
    Revision first = revision(0, "a: 1\n");
    first.overrides = {
        {"alpha", true, false, "", "", 18}, {"beta", false, true, "x", "y", 19, true}};
    {
        auto store = open(dir);
        EXPECT_FALSE(store->head()->has_value());
        ASSERT_EQ(*store->append(first), 1U);
        ASSERT_EQ(*store->append(revision(1, "a: 2\n")), 2U);
    }
    auto store = open(dir);
    Result<std::optional<Revision>> old = store->revision(1);
    ASSERT_TRUE(old && *old);
    EXPECT_EQ((*old)->number, 1U);
    EXPECT_EQ((*old)->parent, 0U);
    EXPECT_EQ((*old)->at, 17);
    EXPECT_EQ((*old)->actor, "me@host");
    EXPECT_EQ((*old)->source, RevisionSource::kCli);
    EXPECT_EQ((*old)->reason, "why; '");
    EXPECT_EQ((*old)->summary, "provider 'a' added");
    EXPECT_EQ((*old)->yaml, "a: 1\n");
    EXPECT_EQ((*old)->file_sha256, "of the file");
    EXPECT_EQ((*old)->overrides, first.overrides);
    Result<std::optional<Revision>> head = store->head();
    ASSERT_TRUE(head && *head);
    EXPECT_EQ((*head)->number, 2U);
    EXPECT_EQ((*head)->yaml, "a: 2\n");
    EXPECT_TRUE((*head)->overrides.empty());
    ASSERT_EQ(store->history(10)->size(), 2U);
    EXPECT_EQ(store->history(10)->front().number, 2U);
    EXPECT_EQ(store->history(1)->size(), 1U);
    EXPECT_FALSE(store->revision(3)->has_value());
    EXPECT_EQ(**store->text(to_hex(sha256("a: 1\n"))), "a: 1\n");
}

TEST(SqliteStore, OnlyTheNewestRevisionGetsASuccessor) {
    TempDir dir;
    auto store = open(dir);
    ASSERT_TRUE(store->append(revision(0, "a")));
    ASSERT_TRUE(store->append(revision(1, "b")));
    Result<std::uint64_t> late = store->append(revision(1, "c"));
    ASSERT_FALSE(late);
    EXPECT_NE(late.error().text().find("revision 2"), std::string::npos) << late.error().text();
    EXPECT_EQ((*store->head())->yaml, "b");
}

TEST(SqliteStore, KeepsTheLastTwoHundredAndTheTextsThatTheyNeed) {
    TempDir dir;
    auto store = open(dir);
    for (std::uint64_t i = 0; i < Store::kRevisionsKept + 5; ++i) {
        Revision next = revision(i, "a: " + std::to_string(i / 2) + "\n");
        next.file_sha256 = to_hex(sha256("a: 0\n"));
        ASSERT_TRUE(store->append(next));
    }
    EXPECT_EQ(store->history(1000)->size(), Store::kRevisionsKept);
    EXPECT_FALSE(store->revision(5)->has_value());
    EXPECT_EQ((*store->revision(6))->yaml, "a: 2\n");
    EXPECT_TRUE(store->text(to_hex(sha256("a: 0\n")))->has_value()) << "what they started from";
    EXPECT_FALSE(store->text(to_hex(sha256("a: 1\n")))->has_value());
}

TEST(SqliteStore, ASavedFileIsWhatTheHeadStartsFrom) {
    TempDir dir;
    {
        auto store = open(dir);
        ASSERT_TRUE(store->append(revision(0, "a")));
        ASSERT_TRUE(store->append(revision(1, "b")));
        ASSERT_TRUE(store->set_head_file("another"));
    }
    auto store = open(dir);
    EXPECT_EQ((*store->head())->file_sha256, "another");
    EXPECT_EQ((*store->revision(1))->file_sha256, "of the file");
}

// Runs SQL on the closed database.
void execute(const TempDir& dir, const char* sql) {
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open((dir.path() / "control-plane.db").c_str(), &raw), SQLITE_OK);
    char* problem = nullptr;
    EXPECT_EQ(sqlite3_exec(raw, sql, nullptr, nullptr, &problem), SQLITE_OK) << problem;
    sqlite3_free(problem);
    sqlite3_close(raw);
}

// As the release before revisions left it.
constexpr const char* kOldSchema =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE overrides ("
    "  provider TEXT PRIMARY KEY, enabled INTEGER NOT NULL, enabled_in_file INTEGER NOT NULL,"
    "  reason TEXT NOT NULL, actor TEXT NOT NULL, at_ms INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('store_uuid', 'an-old-store'), ('epoch', '4');"
    "PRAGMA user_version=1;";

TEST(SqliteStore, TakesOverWhatAnOlderReleaseKept) {
    TempDir dir;
    execute(dir, kOldSchema);
    execute(dir, "INSERT INTO overrides VALUES ('beta', 0, 1, 'invoice', 'me@host', 17)");
    auto store = open(dir);
    EXPECT_EQ(store->identity().store_uuid, "an-old-store");
    EXPECT_EQ(store->identity().epoch, 5U);
    Result<std::optional<Revision>> head = store->head();
    ASSERT_TRUE(head && *head);
    EXPECT_EQ((*head)->number, 0U);
    std::vector<Override> expected = {{"beta", false, true, "invoice", "me@host", 17}};
    EXPECT_EQ((*head)->overrides, expected);
    EXPECT_TRUE(store->history(10)->empty()) << "it is no revision that could be shown";
    EXPECT_FALSE(store->revision(0)->has_value());
    ASSERT_EQ(*store->append(revision(0, "a: 1\n")), 1U);
    EXPECT_EQ(store->history(10)->size(), 1U);
}

TEST(SqliteStore, AnOldStoreWithoutOverridesHasNoRevision) {
    TempDir dir;
    execute(dir, kOldSchema);
    EXPECT_FALSE(open(dir)->head()->has_value());
}

TEST(SqliteStore, AnotherOpenerSinceIsFencedOff) {
    TempDir dir;
    auto store = open(dir);
    ASSERT_TRUE(store->append(revision(0, "a")));
    execute(dir, "UPDATE meta SET value = '9' WHERE key = 'epoch'");
    Result<std::uint64_t> refused = store->append(revision(1, "b"));
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text().find("another control plane"), std::string::npos);
    EXPECT_FALSE(store->set_head_file("x"));
    EXPECT_EQ((*store->head())->yaml, "a");
}

TEST(SqliteStore, NobodyElseCanReadIt) {
    TempDir dir;
    auto store = open(dir);
    ASSERT_TRUE(store->append(revision(0, "a: sk-canary\n")));
    for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
        auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
        EXPECT_EQ(entry.status().permissions() & others, std::filesystem::perms::none)
            << entry.path();
    }
}

TEST(SqliteStore, RefusesASecondOpenerAndNamesTheFirst) {
    TempDir dir;
    auto first = open(dir);
    Result<std::unique_ptr<Store>> second = open_sqlite_store(dir.path());
    ASSERT_FALSE(second.has_value());
    EXPECT_NE(second.error().text().find(std::to_string(::getpid())), std::string::npos)
        << second.error().text();
    EXPECT_NE(second.error().text().find(dir.path().string()), std::string::npos);
    first.reset();
    EXPECT_NE(open(dir), nullptr);
}

TEST(SqliteStore, RefusesAStoreOfANewerVersion) {
    TempDir dir;
    open(dir).reset();
    execute(dir, "PRAGMA user_version=99");
    Result<std::unique_ptr<Store>> store = open_sqlite_store(dir.path());
    ASSERT_FALSE(store.has_value());
    EXPECT_NE(store.error().text().find("newer"), std::string::npos) << store.error().text();
}

TEST(SqliteStore, SaysWhichFileIsNotADatabase) {
    TempDir dir;
    dir.write("control-plane.db", std::string(4096, 'x'));
    Result<std::unique_ptr<Store>> store = open_sqlite_store(dir.path());
    ASSERT_FALSE(store.has_value());
    EXPECT_NE(store.error().text().find("control-plane.db"), std::string::npos);
}

TEST(SqliteStore, KeepsHoldsAndReplacesThem) {
    TempDir dir;
    auto store = open(dir);
    EXPECT_TRUE(store->holds()->empty());
    const std::vector<AccountHold> two = {
        {"a", "", "etag-1", 1'700'000'000'000, "dp1 was answered auth (HTTP 401): bad 'key'"},
        {"a", "claude-x", "etag-1", 0, "quota"},
    };
    ASSERT_TRUE(store->keep_holds(two));
    store.reset();
    store = open(dir);
    EXPECT_EQ(*store->holds(), two);
    ASSERT_TRUE(store->keep_holds({two[1]}));
    EXPECT_EQ(*store->holds(), std::vector<AccountHold>{two[1]});
    execute(dir, "UPDATE meta SET value = '9' WHERE key = 'epoch'");
    EXPECT_FALSE(store->keep_holds({}));
    EXPECT_EQ(store->holds()->size(), 1U);
}

TEST(SqliteStore, RemembersThatNoProviderIsWhatIsWanted) {
    TempDir dir;
    auto store = open(dir);
    ASSERT_TRUE(store->append(revision(0, "a")));
    Revision meant = revision(1, "b");
    meant.may_be_empty = true;
    ASSERT_TRUE(store->append(meant));
    store.reset();
    store = open(dir);
    EXPECT_FALSE((*store->revision(1))->may_be_empty);
    EXPECT_TRUE((*store->head())->may_be_empty);
}

}  // namespace
}  // namespace balancer::controlplane
