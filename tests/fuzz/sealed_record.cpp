// Sealed records and files of sealing keys. No input opens as a record but those that were sealed; what parses as keys
// says the same when it is printed.
#include <algorithm>

#include "base/check.hpp"
#include "base/file.hpp"
#include "controlplane/secrets/key_file.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

using namespace balancer::controlplane;

// Of this process alone: the seeds of an earlier one, which a folder of inputs may hold, are then no records of ours.
const SealingKey& key() {
    static const SealingKey kKey(random_hex(kAeadKeyBytes / 2));
    return kKey;
}

SealedPlace place() {
    return {"store", SealedKind::kProviderKey, "alpha.1", 7};
}

void as_record(std::string_view bytes) {
    // Nonces are random, so no seed is made twice: what opens is what the seeds are.
    static const std::vector<std::string> kSeeds = sealed_record_seeds();
    Result<SealedParts> parts = parse_sealed(bytes);
    bool ours = std::find(kSeeds.begin(), kSeeds.end(), bytes) != kSeeds.end();
    bool opened = parts && open_record(place(), *parts, key());
    BALANCER_CHECK(opened == ours);
    BALANCER_CHECK(!parts || parts->key_id.data() >= bytes.data());
    static const SealingKey kOther(std::string(kAeadKeyBytes, 'o'));
    BALANCER_CHECK(rewrap_record(place(), bytes, key(), kOther).has_value() == ours);
}

// Whatever changes in a good record, it does not open.
void as_changes(std::string_view bytes) {
    const std::string good = sealed_record_seeds().back();
    std::string changed = good;
    for (std::size_t i = 0; i < std::min(bytes.size(), changed.size()); ++i) {
        changed[i] = static_cast<char>(changed[i] ^ bytes[i]);
    }
    if (changed != good) as_record(changed);
}

void as_keys(std::string_view bytes) {
    Result<SealingKeys> keys = parse_keys(bytes);
    if (!keys) return;
    BALANCER_CHECK(!keys->empty() && keys->size() <= kSealingKeysMax);
    SecretBytes printed = print_keys(*keys);
    Result<SealingKeys> again = parse_keys(printed.view());
    BALANCER_CHECK(again && again->size() == keys->size());
    for (std::size_t i = 0; i < keys->size(); ++i) BALANCER_CHECK((*again)[i].id() == (*keys)[i].id());
}

}  // namespace

std::vector<std::string> sealed_record_seeds() {
    static const std::vector<std::string> kSeeds = {
        seal_record(place(), "", key()), seal_record(place(), "sk-1", key())};
    return kSeeds;
}

void sealed_record(std::string_view bytes) {
    as_record(bytes);
    as_changes(bytes);
    as_keys(bytes);
    std::string record = seal_record(place(), bytes, key());
    Result<SealedParts> parts = parse_sealed(record);
    BALANCER_CHECK(parts.has_value());
    Result<SecretBytes> content = open_record(place(), *parts, key());
    BALANCER_CHECK(content && content->view() == bytes);
}

}  // namespace balancer::fuzz
