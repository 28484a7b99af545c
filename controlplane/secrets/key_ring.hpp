// Which sealing keys there are, where they come from, and which of them is the active one.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"
#include "controlplane/secrets/key_file.hpp"

namespace balancer::controlplane {

enum class KeySource { kFile, kCredential, kEnvironment };

// "file", "systemd credential", "environment".
std::string_view name_of(KeySource source);

// Where keys may be. The file is always one of the places; it is made when no other place has a key.
struct KeyPlaces {
    static constexpr const char* kFileName = "sealing.keys";
    static constexpr const char* kCredentialName = "balancer-sealing-keys";
    static constexpr const char* kVariable = "BALANCER_SEALING_KEYS";

    std::filesystem::path file;
    std::optional<std::filesystem::path> credential;
    std::optional<std::string> variable;  // its value

    BeforeFileStep before;  // for tests

    // `STATE_DIR/sealing.keys`, `$CREDENTIALS_DIRECTORY/balancer-sealing-keys` if it is there,
    // `$BALANCER_SEALING_KEYS`.
    static KeyPlaces in(
        const std::filesystem::path& state_dir,
        const std::function<std::optional<std::string>(const std::string&)>& environment
    );
};

// Lives with the store that it seals; not thread-safe. A systemd credential goes before the variable and both before
// the file: the first key of the first place is the active one, and all keys of all places can open.
class KeyRing {
  public:
    struct Entry {
        std::string id;  // 16 hex digits
        KeySource source = KeySource::kFile;
        bool active = false;
    };

    // Makes the file (mode 0400, on disk before this returns) when there is no key anywhere. Refused, with how to mend
    // it: a file that group or others may read, and a place that cannot be read or holds something else.
    static Result<KeyRing> open(KeyPlaces places);

    const SealingKey& active() const { return *keys_.front().key; }
    // By raw id; null: not there. Valid until the ring changes.
    const SealingKey* find(std::string_view id) const;

    // The active one first.
    std::vector<Entry> entries() const;

    // A new active key, on disk before this returns; the one before stays. Refused when the active key is not the
    // file's: then the words say how it is done. An error leaves the ring as it was (the file may have the new key
    // already).
    Result<void> rotate();

    // Takes a key out of the file. `id`: 16 hex digits. Refused: the active one, one that is not in the file.
    Result<void> retire(std::string_view id);

  private:
    struct Held {
        std::unique_ptr<SealingKey> key;
        KeySource source = KeySource::kFile;
    };

    explicit KeyRing(KeyPlaces places) : places_(std::move(places)) {}

    Result<void> load_file();
    Result<void> take(std::string_view text, KeySource source, const std::string& from);
    void add(SealingKey key, KeySource source);
    // What the file is to hold: its keys without `left_out` (an id).
    Result<void> write_file(SealingKeys keys);
    SealingKeys file_keys(std::string_view left_out) const;

    KeyPlaces places_;
    std::vector<Held> keys_;  // the active one first
};

}  // namespace balancer::controlplane
