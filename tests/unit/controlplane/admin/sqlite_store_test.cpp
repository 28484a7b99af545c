#include "controlplane/store/sqlite_store.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

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

TEST(SqliteStore, RemembersOverridesOverARestart) {
    TempDir dir;
    {
        auto store = open(dir);
        ASSERT_TRUE(store->put_override({"beta", false, true, "why; '", "me@host", 17}).has_value()
        );
        ASSERT_TRUE(store->put_override({"alpha", true, false, "", "", 18}).has_value());
        ASSERT_TRUE(store->put_override({"gone", true, false, "", "", 19}).has_value());
        ASSERT_TRUE(store->drop_override("gone").has_value());
        ASSERT_TRUE(store->drop_override("never was").has_value());
    }
    Result<std::vector<Override>> rows = open(dir)->overrides();
    ASSERT_TRUE(rows.has_value());
    ASSERT_EQ(rows->size(), 2U);
    EXPECT_EQ((*rows)[0].provider, "alpha");
    const Override& beta = (*rows)[1];
    EXPECT_EQ(beta.provider, "beta");
    EXPECT_FALSE(beta.enabled);
    EXPECT_TRUE(beta.enabled_in_file);
    EXPECT_EQ(beta.reason, "why; '");
    EXPECT_EQ(beta.actor, "me@host");
    EXPECT_EQ(beta.at, 17);
}

TEST(SqliteStore, ASecondOverrideTakesTheFirstOnesPlace) {
    TempDir dir;
    auto store = open(dir);
    ASSERT_TRUE(store->put_override({"beta", false, true, "a", "", 1}).has_value());
    ASSERT_TRUE(store->put_override({"beta", true, false, "b", "", 2}).has_value());
    Result<std::vector<Override>> rows = store->overrides();
    ASSERT_EQ(rows->size(), 1U);
    EXPECT_EQ(rows->front().reason, "b");
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
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open((dir.path() / "control-plane.db").c_str(), &raw), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(raw, "PRAGMA user_version=99", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(raw);
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

}  // namespace
}  // namespace balancer::controlplane
