#include "controlplane/secrets/key_ring.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <memory>

namespace balancer::controlplane {
namespace {

constexpr unsigned kMode = 0400;

Error refused(const std::string& from, const std::string& why) {
    return invalid(fmt::format(
        "the sealing keys of {} cannot be used: {}; put back a good copy (docs/operations.md, Keys of the sealed "
        "store, says what a lost key means)",
        from,
        why
    ));
}

// A secret that others may read is none. Says the chmod that mends it.
Result<void> check_mode(const std::filesystem::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return {};  // reading it will tell
    if (!is_open_secret(status.st_mode)) return {};
    return invalid(fmt::format(
        "{} holds the keys of every secret here and is open to others than its owner and group (mode {:04o}): run "
        "chmod 400 {}; if somebody may have read it, `balancerctl keys rotate` and change the secrets themselves",
        file.string(),
        static_cast<unsigned>(status.st_mode & 07777),
        file.string()
    ));
}

// Of processes that were killed while they wrote: keys are in them.
void remove_leftovers(const std::filesystem::path& file) {
    std::error_code code;
    std::error_code ignored;
    const std::string prefix = file.filename().string() + '.';
    std::filesystem::directory_iterator entry(file.parent_path(), code);
    for (; !code && entry != std::filesystem::directory_iterator(); entry.increment(code)) {
        std::string name = entry->path().filename().string();
        if (name.starts_with(prefix) && name.ends_with(kTemporarySuffix)) {
            std::filesystem::remove(entry->path(), ignored);
        }
    }
}

}  // namespace

std::string_view name_of(KeySource source) {
    static constexpr std::array<std::string_view, 3> kNames = {"file", "systemd credential", "environment"};
    return kNames[static_cast<std::size_t>(source)];
}

KeyPlaces KeyPlaces::in(
    const std::filesystem::path& state_dir,
    const std::function<std::optional<std::string>(const std::string&)>& environment
) {
    KeyPlaces places;
    places.file = state_dir / kFileName;
    if (!environment) return places;
    std::error_code ignored;
    if (std::optional<std::string> folder = environment("CREDENTIALS_DIRECTORY"); folder && !folder->empty()) {
        std::filesystem::path credential = std::filesystem::path(*folder) / kCredentialName;
        if (std::filesystem::exists(credential, ignored)) places.credential = credential;
    }
    places.variable = environment(kVariable);
    if (places.variable && places.variable->empty()) places.variable.reset();
    return places;
}

Result<KeyRing> KeyRing::open(KeyPlaces places) {
    KeyRing ring(std::move(places));
    if (ring.places_.credential) {
        // Its mode is systemd's business: an access list shows as bits of the group.
        Result<std::string> text = read_file(*ring.places_.credential, kKeyTextBytesMax);
        if (!text) return text.error();
        Result<void> taken = ring.take(*text, KeySource::kCredential, ring.places_.credential->string());
        wipe(*text);
        if (!taken) return taken.error();
    }
    if (ring.places_.variable) {
        Result<void> taken =
            ring.take(*ring.places_.variable, KeySource::kEnvironment, std::string("$") + KeyPlaces::kVariable);
        wipe(*ring.places_.variable);
        if (!taken) return taken.error();
    }
    if (Result<void> loaded = ring.load_file(); !loaded) return loaded.error();
    if (ring.keys_.empty()) {
        if (Result<void> made = ring.rotate(); !made) return made.error();
    }
    return ring;
}

Result<void> KeyRing::load_file() {
    std::error_code ignored;
    remove_leftovers(places_.file);
    if (!std::filesystem::exists(places_.file, ignored)) return {};
    if (Result<void> closed = check_mode(places_.file); !closed) return closed;
    Result<std::string> text = read_file(places_.file, kKeyTextBytesMax);
    if (!text) return text.error();
    Result<void> taken = take(*text, KeySource::kFile, places_.file.string());
    wipe(*text);
    return taken;
}

Result<void> KeyRing::take(std::string_view text, KeySource source, const std::string& from) {
    Result<SealingKeys> keys = parse_keys(text);
    if (!keys) return refused(from, keys.error().text());
    for (SealingKey& key : *keys) add(std::move(key), source);
    return {};
}

// The same key in two places counts for the first of them.
void KeyRing::add(SealingKey key, KeySource source) {
    if (find(key.id()) == nullptr) keys_.push_back(Held{std::make_unique<SealingKey>(std::move(key)), source});
}

const SealingKey* KeyRing::find(std::string_view id) const {
    auto held = std::find_if(keys_.begin(), keys_.end(), [&](const Held& entry) { return entry.key->id() == id; });
    return held == keys_.end() ? nullptr : held->key.get();
}

std::vector<KeyRing::Entry> KeyRing::entries() const {
    std::vector<Entry> entries;
    for (const Held& held : keys_) entries.push_back(Entry{to_hex(held.key->id()), held.source, entries.empty()});
    return entries;
}

SealingKeys KeyRing::file_keys(std::string_view left_out) const {
    SealingKeys keys;
    for (const Held& held : keys_) {
        if (held.source != KeySource::kFile || to_hex(held.key->id()) == left_out) continue;
        keys.push_back(SealingKey(held.key->raw()));
    }
    return keys;
}

Result<void> KeyRing::write_file(SealingKeys keys) {
    return write_file_atomically(places_.file, print_keys(keys).view(), kMode, places_.before);
}

Result<void> KeyRing::rotate() {
    if (!keys_.empty() && keys_.front().source != KeySource::kFile) {
        return invalid(fmt::format(
            "the active key comes from the {}, which is not ours to change: put a new key (openssl rand -hex 32) in "
            "front of the old one there, restart the control plane, which then seals everything with the new one, and "
            "take the old one out once `balancerctl keys list` shows no record under it",
            name_of(keys_.front().source)
        ));
    }
    if (keys_.size() >= kSealingKeysMax) {
        return invalid("there are too many keys: retire those that no record needs (`balancerctl keys retire`)");
    }
    SecretBytes raw = random_key();
    SealingKeys keys = file_keys("");
    keys.insert(keys.begin(), SealingKey(raw.view()));
    if (Result<void> written = write_file(std::move(keys)); !written) return written;
    keys_.insert(keys_.begin(), Held{std::make_unique<SealingKey>(raw.view()), KeySource::kFile});
    return {};
}

Result<void> KeyRing::retire(std::string_view id) {
    auto held = std::find_if(keys_.begin(), keys_.end(), [&](const Held& entry) {
        return to_hex(entry.key->id()) == id;
    });
    if (held == keys_.end()) {
        return invalid(fmt::format("there is no key {}; see `balancerctl keys list`", id));
    }
    if (held == keys_.begin()) {
        return invalid(fmt::format("{} is the active key: `balancerctl keys rotate` makes another one first", id));
    }
    if (held->source != KeySource::kFile) {
        return invalid(fmt::format(
            "{} comes from the {}: take it out there, and restart the control plane", id, name_of(held->source)
        ));
    }
    SealingKeys keys = file_keys(id);
    Result<void> written;
    if (keys.empty()) {
        std::error_code code;
        std::filesystem::remove(places_.file, code);
        if (code) {
            return Error{code, fmt::format("cannot remove {}: {}", places_.file.string(), code.message())};
        }
    } else {
        written = write_file(std::move(keys));
    }
    if (written) keys_.erase(held);
    return written;
}

}  // namespace balancer::controlplane
