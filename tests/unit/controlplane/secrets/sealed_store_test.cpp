// What every sealed store promises (controlplane/secrets/sealed_store.hpp).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "controlplane/secrets/memory_sealed_store.hpp"
#include "controlplane/store/sqlite_store.hpp"
#include "tests/unit/controlplane/admin/temp_dir.hpp"

namespace balancer::controlplane {
namespace {

constexpr SealedKind kAccount = SealedKind::kOAuthAccount;

// A store, and what it lives in.
struct Made {
    std::shared_ptr<void> around;
    SealedStore* store = nullptr;
};

struct Maker {
    const char* name;
    std::function<Made()> make;
};

Made in_memory() {
    auto store = std::make_shared<MemorySealedStore>();
    return {store, store.get()};
}

class EverySealedStore : public ::testing::TestWithParam<Maker> {
  protected:
    std::string content_of(SealedKind kind, std::string_view name) {
        Result<std::optional<SealedRecord>> record = store_.get(kind, name);
        if (!record) return "error: " + record.error().text();
        return *record ? std::string((*record)->content.view()) : "none";
    }

    Made made_ = GetParam().make();
    SealedStore& store_ = *made_.store;
};

TEST_P(EverySealedStore, GivesBackWhatWasPut) {
    EXPECT_EQ(content_of(kAccount, "joe"), "none");
    const std::string binary("a\0b\xff", 4);
    Result<std::uint64_t> generation = store_.put(kAccount, "joe", binary, 0);
    ASSERT_TRUE(generation) << generation.error().text();
    EXPECT_EQ(content_of(kAccount, "joe"), binary);
    EXPECT_EQ((*store_.get(kAccount, "joe"))->generation, *generation);
    EXPECT_EQ(content_of(SealedKind::kProviderKey, "joe"), "none");
    ASSERT_TRUE(store_.put(kAccount, "empty", "", 0));
    EXPECT_EQ(content_of(kAccount, "empty"), "");
}

TEST_P(EverySealedStore, ReplacesOnlyTheGenerationThatWasNamed) {
    std::uint64_t first = store_.put(kAccount, "joe", "1", 0).value();
    std::uint64_t second = store_.put(kAccount, "joe", "2", first).value();
    EXPECT_GT(second, first);
    for (std::uint64_t stale : {std::uint64_t{0}, first, second + 1}) {
        Result<std::uint64_t> refused = store_.put(kAccount, "joe", "3", stale);
        ASSERT_FALSE(refused);
        EXPECT_TRUE(is(refused.error(), SealedErrc::kConflict)) << refused.error().text();
        Result<void> kept = store_.erase(kAccount, "joe", stale);
        ASSERT_FALSE(kept);
        EXPECT_TRUE(is(kept.error(), SealedErrc::kConflict)) << kept.error().text();
    }
    EXPECT_EQ(content_of(kAccount, "joe"), "2");
}

TEST_P(EverySealedStore, NoGenerationComesTwiceUnderAName) {
    std::uint64_t first = store_.put(kAccount, "joe", "1", 0).value();
    ASSERT_TRUE(store_.erase(kAccount, "joe", first));
    EXPECT_EQ(content_of(kAccount, "joe"), "none");
    EXPECT_FALSE(store_.erase(kAccount, "joe", first));
    EXPECT_GT(store_.put(kAccount, "joe", "2", 0).value(), first);
}

TEST_P(EverySealedStore, ListsOneKindByName) {
    ASSERT_TRUE(store_.put(kAccount, "zoe", "1", 0));
    ASSERT_TRUE(store_.put(kAccount, "amy", "2", 0));
    ASSERT_TRUE(store_.put(SealedKind::kProviderKey, "p", "3", 0));
    Result<std::vector<SealedEntry>> entries = store_.list(kAccount);
    ASSERT_TRUE(entries) << entries.error().text();
    ASSERT_EQ(entries->size(), 2u);
    EXPECT_EQ((*entries)[0].name, "amy");
    EXPECT_EQ((*entries)[1].name, "zoe");
    EXPECT_FALSE((*entries)[0].locked);
    EXPECT_EQ((*entries)[0].generation, (*store_.get(kAccount, "amy"))->generation);
}

TEST_P(EverySealedStore, RefusesWhatIsTooLong) {
    const std::string longest(SealedStore::kNameBytesMax, 'n');
    EXPECT_TRUE(store_.put(kAccount, longest, "x", 0));
    for (const std::string& name : {std::string(), longest + "n"}) {
        Result<std::uint64_t> refused = store_.put(kAccount, name, "x", 0);
        ASSERT_FALSE(refused);
        EXPECT_TRUE(is(refused.error(), SealedErrc::kRefused)) << refused.error().text();
    }
    Result<std::uint64_t> refused =
        store_.put(kAccount, "joe", std::string(SealedStore::kContentBytesMax + 1, 'x'), 0);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(is(refused.error(), SealedErrc::kRefused)) << refused.error().text();
}

// In a folder of its own.
struct OnDisk {
    test::TempDir dir;
    std::unique_ptr<Store> store = open_sqlite_store(dir.path()).value();
};

Made on_disk() {
    auto around = std::make_shared<OnDisk>();
    return {around, &around->store->sealed()};
}

INSTANTIATE_TEST_SUITE_P(
    ,
    EverySealedStore,
    ::testing::Values(Maker{"InMemory", in_memory}, Maker{"OnDisk", on_disk}),
    [](const auto& maker) { return maker.param.name; }
);

}  // namespace
}  // namespace balancer::controlplane
