#include "dataplane/control/applier.hpp"

#include <gtest/gtest.h>

#include "samples.hpp"

namespace balancer::dataplane {
namespace {

using samples::config;
using samples::credentials;
using samples::update;
using samples::version;

class ApplierTest : public testing::Test {
  protected:
    ProviderSlots slots_;
    Applier applier_{slots_};
};

TEST_F(ApplierTest, AppliesTheFirstUpdateAndSaysWhatItHolds) {
    Applied applied = applier_.apply(update(version(3, 7), config({"a"}), {}, credentials({"a"})));
    ASSERT_TRUE(applied.accepted);
    ASSERT_TRUE(applied.snapshot);
    EXPECT_EQ(applied.snapshot->version.seq, 7U);
    EXPECT_EQ(applied.snapshot->find_provider("a")->credential->header_value, "key-of-a");
    EXPECT_EQ(applied.answer.ack().nonce(), 7U);

    v1::Hello hello;
    applier_.announce(hello);
    EXPECT_EQ(hello.applied().epoch(), 3U);
    EXPECT_EQ(hello.applied_source(), v1::Hello::MEMORY);
    EXPECT_EQ(hello.section_sha256_size(), 3);
}

TEST_F(ApplierTest, TakesTheSameVersionAsARepeat) {
    v1::Update first = update(version(1, 1), config({"a"}));
    applier_.apply(first);
    first.set_nonce(99);
    Applied again = applier_.apply(first);
    EXPECT_TRUE(again.accepted);
    EXPECT_EQ(again.answer.ack().nonce(), 99U);
    EXPECT_FALSE(again.snapshot);
    EXPECT_FALSE(again.health);
}

TEST_F(ApplierTest, NeverGoesBack) {
    applier_.apply(update(version(8, 100), config({"a"})));
    // A control plane of an older epoch, however far it has counted.
    for (const v1::Version& older : {version(7, 9'999), version(8, 99)}) {
        Applied applied = applier_.apply(update(older, config({"b"})));
        EXPECT_FALSE(applied.accepted);
        EXPECT_TRUE(applied.drop_stream);
        EXPECT_EQ(applied.answer.nack().code(), v1::NACK_CODE_STALE);
        EXPECT_EQ(applied.answer.nack().still_applied().seq(), 100U);
    }
    EXPECT_TRUE(applier_.apply(update(version(9, 1), config({"b"}))).accepted);
}

TEST_F(ApplierTest, RefusesTheSameVersionWithAnotherContent) {
    applier_.apply(update(version(3, 5), config({"a"})));
    Applied other = applier_.apply(update(version(3, 5), config({"b"})));
    EXPECT_FALSE(other.accepted);
    EXPECT_TRUE(other.drop_stream);
    EXPECT_EQ(other.answer.nack().code(), v1::NACK_CODE_STALE);
    EXPECT_NE(other.refusal.find("restored from a copy"), std::string::npos);
}

TEST_F(ApplierTest, RestoresWhatAnotherProcessHeld) {
    v1::CredentialSection keys = credentials({"a"});
    keys.mutable_credentials(0)->set_expires_at_ms(5);  // long ago: it must not become good again
    applier_.apply(update(version(3, 7), config({"a"}), {}, keys));
    ProviderSlots slots;
    Applier restarted(slots);
    Applied applied = restarted.restore(applier_.state());
    ASSERT_TRUE(applied.accepted) << applied.refusal;
    ASSERT_TRUE(applied.snapshot);
    ASSERT_TRUE(applied.health);
    EXPECT_EQ(applied.snapshot->find_provider("a")->credential->expires_at, 5);
    v1::Hello hello;
    restarted.announce(hello);
    EXPECT_EQ(hello.applied_source(), v1::Hello::DISK);
    EXPECT_EQ(hello.applied().seq(), 7U);
    EXPECT_EQ(hello.section_sha256_size(), 3);
}

TEST_F(ApplierTest, NeverRestoresOverWhatItHolds) {
    ProviderSlots slots;
    Applier other(slots);
    other.apply(update(version(9, 9), config({"b"})));
    applier_.apply(update(version(1, 1), config({"a"})));
    EXPECT_FALSE(applier_.restore(other.state()).accepted);
    EXPECT_EQ(applier_.version().epoch(), 1U);
    ProviderSlots empty_slots;
    EXPECT_FALSE(Applier(empty_slots).restore(v1::Update()).accepted) << "nothing is no state";
}

TEST_F(ApplierTest, WhatCameFromDiskStillRefusesAnOlderVersionOfItsStore) {
    applier_.restore(update(version(8, 100), config({"a"})));
    Applied zombie = applier_.apply(update(version(7, 9'999), config({"b"})));
    EXPECT_EQ(zombie.answer.nack().code(), v1::NACK_CODE_STALE);
    EXPECT_TRUE(zombie.drop_stream);
    EXPECT_EQ(applier_.source(), v1::Hello::DISK);
    EXPECT_TRUE(applier_.apply(update(version(8, 100), config({"a"}))).accepted);
    EXPECT_EQ(applier_.source(), v1::Hello::MEMORY) << "a control plane has confirmed it";
}

TEST_F(ApplierTest, WhatCameFromDiskGivesWayToAnotherStore) {
    applier_.restore(update(version(8, 100), config({"a"}), {}, credentials({"a"})));
    // Nothing of the old store may be mixed in, not even for a digest that is the same.
    v1::Update elided = update(version(1, 1, "store-b"), config({"a"}));
    elided.mutable_sections(0)->clear_payload();
    elided.mutable_sections(0)->set_unchanged(true);
    EXPECT_EQ(applier_.apply(elided).answer.nack().code(), v1::NACK_CODE_DIGEST);
    EXPECT_EQ(applier_.version().seq(), 100U) << "a refused update leaves no trace";

    Applied applied = applier_.apply(update(version(1, 1, "store-b"), config({"b"})));
    ASSERT_TRUE(applied.accepted) << applied.refusal;
    EXPECT_EQ(applied.left_store, "store-a");
    EXPECT_EQ(applied.snapshot->find_provider("a"), nullptr);
    // From now on it is as firm as any.
    EXPECT_EQ(
        applier_.apply(update(version(9, 9), config({"a"}))).answer.nack().code(),
        v1::NACK_CODE_STORE_MISMATCH
    );
}

TEST_F(ApplierTest, RefusesAnotherStore) {
    applier_.apply(update(version(1, 1), config({"a"})));
    Applied applied = applier_.apply(update(version(2, 2, "store-b"), config({"b"})));
    EXPECT_EQ(applied.answer.nack().code(), v1::NACK_CODE_STORE_MISMATCH);
    EXPECT_TRUE(applied.drop_stream);
}

TEST_F(ApplierTest, RefusesAPayloadWithAnotherDigestAndKeepsEverything) {
    applier_.apply(update(version(1, 1), config({"a"})));
    v1::Update bad = update(version(1, 2), config({"b"}));
    bad.mutable_sections(2)->set_payload("\x0a\x00");
    Applied applied = applier_.apply(bad);
    EXPECT_EQ(applied.answer.nack().code(), v1::NACK_CODE_DIGEST);
    EXPECT_EQ(applied.answer.nack().errors(0).resource(), "section/credentials");
    EXPECT_FALSE(applied.drop_stream);
    EXPECT_FALSE(applied.snapshot);
    EXPECT_EQ(applier_.version().seq(), 1U);

    // The good configuration of the refused update has not stayed behind: it still is news.
    EXPECT_TRUE(applier_.apply(update(version(1, 3), config({"b"}))).snapshot);
}

TEST_F(ApplierTest, TakesUnchangedOnlyForADigestItHolds) {
    v1::Update first = update(version(1, 1), config({"a"}));
    applier_.apply(first);
    v1::Update elided = update(version(1, 2), config({"a"}));
    for (v1::Section& section : *elided.mutable_sections()) {
        section.clear_payload();
        section.set_unchanged(true);
    }
    Applied applied = applier_.apply(elided);
    EXPECT_TRUE(applied.accepted);
    EXPECT_FALSE(applied.snapshot) << "nothing changed, so the workers keep what they have";
    EXPECT_EQ(applier_.version().seq(), 2U);

    elided.mutable_version()->set_seq(3);
    elided.mutable_sections(0)->set_sha256(sha256("something else"));
    EXPECT_EQ(applier_.apply(elided).answer.nack().code(), v1::NACK_CODE_DIGEST);
}

TEST_F(ApplierTest, MakesASnapshotWhenOnlyCredentialsChange) {
    applier_.apply(update(version(1, 1), config({"a"})));
    v1::Update next = update(version(1, 2), config({"a"}), {}, credentials({"a"}));
    next.mutable_sections(0)->clear_payload();
    next.mutable_sections(0)->set_unchanged(true);
    Applied applied = applier_.apply(next);
    ASSERT_TRUE(applied.snapshot);
    EXPECT_TRUE(applied.snapshot->find_provider("a")->credential.has_value());
}

TEST_F(ApplierTest, MakesNoSnapshotForHealthAlone) {
    applier_.apply(update(version(1, 1), config({"a"})));
    v1::HealthSection health;
    health.add_providers()->set_provider("a");
    Applied applied = applier_.apply(update(version(1, 2), config({"a"}), health));
    EXPECT_FALSE(applied.snapshot);
    ASSERT_TRUE(applied.health);
    EXPECT_EQ(applied.health->providers_size(), 1);
}

TEST_F(ApplierTest, RefusesAnUnknownSchemaAndAConfigurationThatCannotBeUsed) {
    v1::ConfigSection newer = config({"a"});
    newer.set_schema(2);
    EXPECT_EQ(
        applier_.apply(update(version(1, 1), newer)).answer.nack().code(), v1::NACK_CODE_SCHEMA
    );
    EXPECT_EQ(
        applier_.apply(update(version(1, 1), config({"a", "a"}))).answer.nack().code(),
        v1::NACK_CODE_INVALID
    );
    v1::Update garbage = update(version(1, 1), config({"a"}));
    garbage.mutable_sections(0)->set_payload("\xff\xff\xff");
    garbage.mutable_sections(0)->set_sha256(sha256("\xff\xff\xff"));
    EXPECT_EQ(applier_.apply(garbage).answer.nack().code(), v1::NACK_CODE_SCHEMA);
    v1::Update empty;
    *empty.mutable_version() = version(1, 1);
    EXPECT_EQ(applier_.apply(empty).answer.nack().code(), v1::NACK_CODE_SCHEMA);
    EXPECT_EQ(applier_.version().seq(), 0U);
}

TEST_F(ApplierTest, QuarantinesOneProviderAndSaysSoInEveryAck) {
    v1::ConfigSection one_bad = config({"good", "bad"});
    one_bad.mutable_providers(1)->set_base_url("ftp://nowhere");
    Applied applied = applier_.apply(update(version(1, 1), one_bad));
    ASSERT_TRUE(applied.accepted);
    EXPECT_TRUE(applied.snapshot->find_provider("good"));
    EXPECT_FALSE(applied.snapshot->find_provider("bad"));
    ASSERT_EQ(applied.answer.ack().quarantined_size(), 1);
    EXPECT_EQ(applied.answer.ack().quarantined(0).resource(), "provider/bad");
    EXPECT_EQ(applied.answer.ack().quarantined(0).field_path(), "base_url");

    Applied later = applier_.apply(update(version(2, 1), one_bad));
    EXPECT_FALSE(later.snapshot);
    EXPECT_EQ(later.answer.ack().quarantined_size(), 1);
}

TEST_F(ApplierTest, IgnoresSectionsOfANewerProtocol) {
    v1::Update newer = update(version(1, 1), config({"a"}));
    v1::Section& extra = *newer.add_sections();
    extra.set_kind(static_cast<v1::SectionKind>(9));
    extra.set_payload("?");
    EXPECT_TRUE(applier_.apply(newer).accepted);
}

// A control plane that loses its providers must not take everybody's service with it.
TEST_F(ApplierTest, RefusesToLoseItsLastProviderUnlessThatIsMeant) {
    applier_.apply(update(version(1, 1), config({"a", "b"})));
    v1::ConfigSection none = config({"a", "b"});
    for (v1::Provider& provider : *none.mutable_providers()) provider.set_enabled(false);

    v1::Update unforced = update(version(1, 2), none);
    unforced.set_revision(2);
    Applied refused = applier_.apply(unforced);
    EXPECT_FALSE(refused.accepted);
    EXPECT_FALSE(refused.drop_stream);
    EXPECT_FALSE(refused.snapshot);
    EXPECT_EQ(refused.answer.nack().code(), v1::NACK_CODE_INVALID);
    EXPECT_NE(refused.refusal.find("no provider would be left of the 2"), std::string::npos)
        << refused.refusal;
    EXPECT_EQ(applier_.version().seq(), 1U);

    v1::Update meant = update(version(1, 3), none);
    meant.set_revision(3);
    meant.set_may_be_empty(true);
    EXPECT_TRUE(applier_.apply(meant).accepted);
    // From none to none, nothing is lost.
    EXPECT_TRUE(applier_.apply(update(version(1, 4), none)).accepted);
}

// An older control plane tells neither its revision nor that an empty set is meant; its operator's --force holds.
TEST_F(ApplierTest, BelievesAnOlderControlPlaneThatNoProviderIsMeant) {
    applier_.apply(update(version(1, 1), config({"a"})));
    EXPECT_TRUE(applier_.apply(update(version(1, 2), config({}))).accepted);
}

// Of what use is a provider that cannot be used?
TEST_F(ApplierTest, RefusesProvidersOfWhichNoneIsOfUse) {
    applier_.apply(update(version(1, 1), config({"a"})));
    v1::ConfigSection broken = config({"a"});
    broken.mutable_providers(0)->set_base_url("no address");
    v1::Update next = update(version(1, 2), broken);
    next.set_revision(2);
    Applied refused = applier_.apply(next);
    EXPECT_FALSE(refused.accepted);
    EXPECT_NE(refused.refusal.find("provider/a: base_url"), std::string::npos) << refused.refusal;
}

TEST_F(ApplierTest, ADataPlaneThatHasNothingTakesWhatThereIs) {
    EXPECT_TRUE(applier_.apply(update(version(1, 1), config({}))).accepted);
}

TEST_F(ApplierTest, TellsTheSendersClockAndTheRevision) {
    v1::Update first = update(version(1, 1), config({"a"}));
    first.set_cp_time_ms(12'345);
    first.set_revision(7);
    Applied applied = applier_.apply(first);
    EXPECT_EQ(applied.sender_time, 12'345);
    EXPECT_EQ(applied.snapshot->revision, 7U);
    ProviderSlots slots;
    Applier restarted(slots);
    Applied restored = restarted.restore(applier_.state(), unix_now() - 1'000);
    EXPECT_EQ(restored.snapshot->revision, 7U);
    EXPECT_EQ(restored.sender_time, 0);
    // Kept in the future: the clock has been set back since.
    Applier set_back(slots);
    UnixMs kept = unix_now() + 3'600'000;
    EXPECT_EQ(set_back.restore(applier_.state(), kept).sender_time, kept);
}

}  // namespace
}  // namespace balancer::dataplane
