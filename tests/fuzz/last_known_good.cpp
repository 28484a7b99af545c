// Files of last known good state. As a file, no input opens but those that were sealed; as the
// content of a file that opens, no input does harm.
#include <algorithm>
#include <array>

#include "base/check.hpp"
#include "base/file.hpp"
#include "dataplane/control/applier.hpp"
#include "dataplane/control/lkg_file.hpp"
#include "model/protocol.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

using namespace balancer::dataplane;

const LkgKey& key() {
    static const LkgKey kKey(std::string(LkgKey::kBytes, 'k'));
    return kKey;
}

std::string sealed(std::string_view content) {
    LkgHeader header{"dp1", "store", 1, 2, kProtocolMajor, 1, 1'700'000'000'000};
    return *seal_lkg(header, content, key(), std::string(kLkgNonceBytes, 'n'));
}

v1::Section section(v1::SectionKind kind, const google::protobuf::MessageLite& content) {
    v1::Section out;
    out.set_kind(kind);
    out.set_payload(content.SerializeAsString());
    out.set_sha256(sha256(out.payload()));
    return out;
}

v1::Update sample() {
    v1::ConfigSection config;
    config.set_schema(1);
    v1::Provider& provider = *config.add_providers();
    provider.set_name("a");
    provider.set_type(v1::PROVIDER_TYPE_ANTHROPIC);
    provider.set_base_url("https://a.example");
    provider.set_auth_type(v1::AUTH_TYPE_API_KEY);
    provider.set_credential_ref("a");
    provider.set_enabled(true);
    v1::Update update;
    update.mutable_version()->set_store_uuid("store");
    update.mutable_version()->set_epoch(1);
    update.mutable_version()->set_seq(2);
    *update.add_sections() = section(v1::SECTION_KIND_CONFIG, config);
    *update.add_sections() = section(v1::SECTION_KIND_HEALTH, v1::HealthSection());
    *update.add_sections() = section(v1::SECTION_KIND_CREDENTIALS, v1::CredentialSection());
    return update;
}

}  // namespace

std::vector<std::string> last_known_good_seeds() {
    std::string content = sample().SerializeAsString();
    return {content, sealed(content), sealed(""), sealed("x")};
}

void last_known_good(std::string_view bytes) {
    static const std::vector<std::string> kSeeds = last_known_good_seeds();
    bool ours = std::find(kSeeds.begin() + 1, kSeeds.end(), bytes) != kSeeds.end();
    Result<LkgFile> as_file = open_lkg(bytes, "dp1", key());
    BALANCER_CHECK(as_file.has_value() == ours);
    BALANCER_CHECK(!open_lkg(bytes, "dp2", key()));

    Result<LkgFile> opened = open_lkg(sealed(bytes), "dp1", key());
    BALANCER_CHECK(opened.has_value() && opened->content == bytes);
    v1::Update update;
    if (!update.ParseFromString(opened->content)) return;
    ProviderSlots slots;
    Applier applier(slots);
    Applied applied = applier.restore(update);
    BALANCER_CHECK(applied.accepted == (applier.source() == v1::Hello::DISK));
    BALANCER_CHECK(applied.accepted == (applied.snapshot != nullptr));
    // What was taken can be kept and taken again.
    if (!applied.accepted) return;
    ProviderSlots other_slots;
    Applier other(other_slots);
    BALANCER_CHECK(other.restore(applier.state()).accepted);
}

}  // namespace balancer::fuzz
