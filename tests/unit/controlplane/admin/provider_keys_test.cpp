// Keys of providers that are set by hand: in the sealed store, and a reference in the text.
#include <gmock/gmock.h>

#include "controlplane/config/sealed_key.hpp"
#include "controlplane/store/sqlite_store.hpp"
#include "tests/unit/controlplane/admin/revisions_fixture.hpp"

namespace balancer::controlplane {
namespace {

class ProviderKeysTest : public RevisionsTest {
  protected:
    Result<v1::ChangeResponse> set_key(
        const std::string& name, const std::string& auth_value, v1::ChangeContext context = RevisionsTest::context()
    ) {
        v1::EditConfigRequest request;
        *request.mutable_context() = std::move(context);
        v1::ProviderEdit& edit = *request.mutable_update_provider()->mutable_provider();
        edit.set_name(name);
        edit.set_auth_value(auth_value);
        return plane_->edit_config(request);
    }

    std::vector<std::string> sealed() {
        std::vector<std::string> names;
        Result<std::vector<SealedEntry>> entries = store_.sealed().list(SealedKind::kProviderKey);
        for (const SealedEntry& entry : *entries) names.push_back(entry.name);
        return names;
    }

    std::string running() { return store_.revisions.back().yaml; }
    std::string etag(const std::string& name) { return view(name).provider().etag(); }
};

TEST_F(ProviderKeysTest, TheTextHasAReferenceAndTheStoreTheKey) {
    start(config_yaml());
    Result<v1::ChangeResponse> answer = add_delta("sk-canary-delta");
    ASSERT_TRUE(answer) << answer.error().text();
    ASSERT_EQ(sealed().size(), 1u);
    EXPECT_TRUE(sealed()[0].starts_with("delta.")) << sealed()[0];
    EXPECT_TRUE(has(running(), "auth_value: sealed:" + sealed()[0] + "\n")) << running();
    EXPECT_FALSE(has(running(), "canary-delta"));
    EXPECT_FALSE(has(answer->diff(), "canary")) << answer->diff();
    EXPECT_TRUE(has(answer->diff(), "+    auth_value: sealed:delta.")) << answer->diff();
    EXPECT_EQ(view("delta").credential_problem(), "");
    ASSERT_TRUE(save());
    EXPECT_TRUE(has(file_text(), "sealed:" + sealed()[0]));
    EXPECT_FALSE(has(file_text(), "canary-delta"));
    // And it works after a restart from that file.
    std::string before = etag("delta");
    start(file_text());
    EXPECT_EQ(etag("delta"), before);
    EXPECT_EQ(view("delta").credential_problem(), "");
}

TEST_F(ProviderKeysTest, ARollbackBringsTheOldKeyBack) {
    start(config_yaml());
    ASSERT_TRUE(add_delta("sk-canary-1"));
    std::string first = etag("delta");
    ASSERT_TRUE(set_key("delta", "sk-canary-2"));
    EXPECT_NE(etag("delta"), first);
    EXPECT_EQ(sealed().size(), 2u);
    ASSERT_TRUE(rollback(2));
    EXPECT_EQ(etag("delta"), first);
    EXPECT_EQ(sealed().size(), 2u);
}

TEST_F(ProviderKeysTest, TheSameKeyAgainIsNoChange) {
    start(config_yaml());
    ASSERT_TRUE(add_delta("sk-canary-1"));
    Result<v1::ChangeResponse> again = set_key("delta", "sk-canary-1");
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_FALSE(again->changed());
    EXPECT_EQ(number(), 2u);
    EXPECT_EQ(sealed().size(), 1u);
}

TEST_F(ProviderKeysTest, WhatIsNotMadeLeavesNoKeyBehind) {
    start(config_yaml());
    v1::ChangeContext dry = context();
    dry.set_dry_run(true);
    ASSERT_TRUE(set_key("alpha", "sk-canary-new", dry));
    EXPECT_FALSE(set_key("nobody", "sk-canary-new"));
    EXPECT_FALSE(set_key("alpha", "sk-canary\nx-injected: 1")) << "it goes into a header line";
    store_.broken = true;
    EXPECT_FALSE(set_key("alpha", "sk-canary-new"));
    EXPECT_TRUE(sealed().empty());
}

TEST_F(ProviderKeysTest, ReferencesStayReferences) {
    variables_["KEY"] = "sk-from-the-environment";
    start(config_yaml());
    ASSERT_TRUE(set_key("alpha", "${KEY}"));
    EXPECT_TRUE(has(running(), "${KEY}"));
    ASSERT_TRUE(set_key("alpha", "passthrough"));
    EXPECT_TRUE(sealed().empty());
    // What looks like a variable in a key is part of it.
    ASSERT_TRUE(set_key("alpha", "sk-$${KEY}"));
    ASSERT_EQ(sealed().size(), 1u);
    Result<std::optional<SealedRecord>> record = store_.sealed().get(SealedKind::kProviderKey, sealed()[0]);
    EXPECT_EQ((*record)->content.view(), "sk-${KEY}");
}

TEST_F(ProviderKeysTest, AKeyThatCannotBeHadTakesItsProviderOutAndNobodyElse) {
    start(config_yaml());
    ASSERT_TRUE(add_delta("sk-canary-1"));
    std::uint64_t generation = store_.sealed().list(SealedKind::kProviderKey)->front().generation;
    ASSERT_TRUE(store_.sealed().erase(SealedKind::kProviderKey, sealed()[0], generation));
    start(config_yaml());
    EXPECT_TRUE(has(view("delta").credential_problem(), "no sealed key")) << view("delta").credential_problem();
    EXPECT_TRUE(has(notices(), "provider 'delta' cannot be used")) << notices();
    EXPECT_EQ(view("alpha").credential_problem(), "");
    ASSERT_TRUE(set_enabled("delta", false));
    Result<v1::ChangeResponse> refused = set_enabled("delta", true);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(has(refused.error().text(), "no sealed key")) << refused.error().text();
    ASSERT_TRUE(set_key("delta", "sk-canary-2"));
    EXPECT_EQ(view("delta").credential_problem(), "");
    EXPECT_TRUE(set_enabled("delta", true));
}

TEST_F(ProviderKeysTest, OnlyAuthValueMayBeSealed) {
    start(config_yaml());
    EXPECT_EQ(
        reload(replaced(config_yaml(), test::kCanaryHeader, "sealed:alpha.0123")).result, ReloadResult::kRefused
    );
    EXPECT_EQ(
        reload(replaced(config_yaml(), test::kCanaryKey, "'sealed:../etc'")).result, ReloadResult::kRefused
    );
}

// On the real store, started once more under another sealing key.
class LockedStartTest : public testing::Test {
  protected:
    struct Started {
        Started(const test::TempDir& dir, const std::string& keys) {
            log.set_level(LogLevel::kError);
            KeyPlaces places;
            places.file = dir.path() / "no-such.keys";
            places.variable = keys;
            store = open_sqlite_store(dir.path(), places).value();
            std::filesystem::path file = dir.path() / "config.yaml";
            plane = std::make_unique<ControlPlane>(
                context, log, *store, ControlPlane::Options{file, dir.path(), test::no_environment()}
            );
            LoadResult loaded = load_config(file, test::no_environment());
            result = plane->start(std::get<LoadedConfig>(std::move(loaded)));
        }

        std::string notices() const {
            std::string all;
            const v1::GetStatusResponse status = plane->status();
            for (const std::string& notice : status.notices()) all += notice + "\n";
            return all;
        }

        boost::asio::io_context context{1};
        Log log{"test"};
        std::unique_ptr<Store> store;
        std::unique_ptr<ControlPlane> plane;
        Result<void> result;
    };

    const std::string kA = std::string(64, 'a');
    const std::string kB = std::string(64, 'b');
    test::TempDir dir_;
};

TEST_F(LockedStartTest, StartsSaysWhatIsLockedAndServesTheFile) {
    dir_.write("config.yaml", config_yaml());
    {
        Started first(dir_, kA);
        ASSERT_TRUE(first.result) << first.result.error().text();
        v1::EditConfigRequest request;
        v1::ProviderEdit& edit = *request.mutable_update_provider()->mutable_provider();
        edit.set_name("alpha");
        edit.set_auth_value("sk-canary-sealed");
        ASSERT_TRUE(first.plane->edit_config(request));
        edit.set_name("beta");
        edit.set_auth_value("sk-canary-sealed-2");
        ASSERT_TRUE(first.plane->edit_config(request));
        EXPECT_EQ(first.plane->status().revision().number(), 3u);
    }
    {
        Started locked(dir_, kB);
        ASSERT_TRUE(locked.result) << locked.result.error().text();
        EXPECT_TRUE(has(locked.notices(), "revision 3, which was in force, cannot be opened")) << locked.notices();
        EXPECT_TRUE(has(locked.notices(), "sealed records are locked")) << locked.notices();
        EXPECT_EQ(locked.plane->status().revision().number(), 4u);
        EXPECT_EQ(locked.plane->show_config().config().providers_size(), 3);
        Result<v1::ShowConfigResponse> old = locked.plane->show_revision(3);
        ASSERT_FALSE(old);
        EXPECT_TRUE(has(old.error().text(), "locked")) << old.error().text();
        v1::RollbackConfigRequest back;
        back.set_revision(3);
        EXPECT_FALSE(locked.plane->rollback_config(back));
        Result<v1::ListSealingKeysResponse> keys = locked.plane->list_sealing_keys();
        ASSERT_TRUE(keys);
        ASSERT_EQ(keys->keys_size(), 2);
        EXPECT_EQ(keys->keys(1).source(), "");
        EXPECT_EQ(keys->keys(1).records().at("provider_key"), 2u);
        EXPECT_EQ(keys->problems_size(), 4) << "two keys, and the texts of revisions 2 and 3";
    }
    Started again(dir_, kB + "," + kA);
    ASSERT_TRUE(again.result) << again.result.error().text();
    EXPECT_FALSE(has(again.notices(), "locked")) << again.notices();
    v1::RollbackConfigRequest back;
    back.set_revision(3);
    ASSERT_TRUE(again.plane->rollback_config(back));
    EXPECT_TRUE(has(again.plane->show_revision(5)->yaml(), "sealed:beta.")) << again.plane->show_revision(5)->yaml();
    // Everything is under the new key since that start.
    EXPECT_EQ(again.plane->list_sealing_keys()->problems_size(), 0);
    EXPECT_TRUE(again.plane->list_sealing_keys()->keys(1).records().empty());
}

TEST_F(LockedStartTest, TheFileItselfBringsBackTheTextThatItWas) {
    dir_.write("config.yaml", config_yaml());
    { ASSERT_TRUE(Started(dir_, kA).result); }
    Started locked(dir_, kB);
    ASSERT_TRUE(locked.result) << locked.result.error().text();
    EXPECT_EQ(locked.plane->status().revision().number(), 1u) << "the file is what the head says";
}

TEST_F(LockedStartTest, AProviderWhoseKeyIsLockedSaysSo) {
    dir_.write("config.yaml", config_yaml());
    {
        Started first(dir_, kA);
        v1::EditConfigRequest request;
        v1::ProviderEdit& edit = *request.mutable_update_provider()->mutable_provider();
        edit.set_name("alpha");
        edit.set_auth_value("sk-canary-sealed");
        ASSERT_TRUE(first.plane->edit_config(request));
        ASSERT_TRUE(first.plane->save_config(v1::SaveConfigRequest()));
    }
    Started locked(dir_, kB);
    ASSERT_TRUE(locked.result) << locked.result.error().text();
    EXPECT_TRUE(has(locked.notices(), "provider 'alpha' cannot be used: sealed provider_key")) << locked.notices();
    v1::ProviderView alpha = locked.plane->list_providers("alpha")->providers(0);
    EXPECT_TRUE(has(alpha.credential_problem(), "is locked")) << alpha.credential_problem();
    EXPECT_EQ(locked.plane->list_providers("beta")->providers(0).credential_problem(), "");
}

TEST(SealedKeyText, KnowsALiteralFromAReference) {
    for (const char* reference : {"", "passthrough", "file:/run/key", "sealed:a.1", "${KEY}", "Bearer ${KEY}"}) {
        EXPECT_FALSE(literal_secret(reference)) << reference;
    }
    EXPECT_EQ(literal_secret("sk-1"), "sk-1");
    EXPECT_EQ(literal_secret("a$b{c}$"), "a$b{c}$");
    EXPECT_EQ(literal_secret("$${x}$$${y}"), "${x}$${y}");
}

TEST(SealedKeyText, NamesAreShortPlainAndNeverTheSame) {
    std::string name = make_sealed_name("my provider: ü/1");
    EXPECT_TRUE(is_sealed_name(name)) << name;
    EXPECT_NE(name, make_sealed_name("my provider: ü/1"));
    EXPECT_TRUE(is_sealed_name(make_sealed_name(std::string(128, 'x'))));
    EXPECT_EQ(sealed_name(sealed_reference(name)), name);
    EXPECT_FALSE(is_sealed_name(""));
    EXPECT_FALSE(is_sealed_name("a/b"));
}

}  // namespace
}  // namespace balancer::controlplane
