#include "dataplane/control/lkg_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/bytes.hpp"
#include "model/protocol.hpp"

namespace balancer::dataplane {
namespace {

constexpr unsigned kMode = 0600;
// A state is one Update; what is around it in the file is small.
constexpr std::size_t kFileBytesMax = kSyncMessageBytesMax + (1 << 20);

}  // namespace

LkgFolder::LkgFolder(std::filesystem::path folder, std::string dp_id, BeforeFileStep before)
    : folder_(std::move(folder)), dp_id_(std::move(dp_id)), before_(std::move(before)) {}

LkgFolder::~LkgFolder() {
    unlock();
}

void LkgFolder::unlock() {
    if (lock_ >= 0) ::close(lock_);  // and so gives the lock back
    lock_ = -1;
    looked_ = false;
}

LkgFound LkgFolder::find() {
    if (Result<void> loaded = load_key(); !loaded) return {{}, {loaded.error().text()}};
    return look();
}

Result<void> LkgFolder::save(const v1::Update& state, UnixMs now) {
    if (Result<void> locked = lock(); !locked) return locked;
    if (!key_) {
        if (Result<void> made = make_key(); !made) return made;
    }
    std::size_t older = 0;
    std::uint64_t newest = 0;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].good) newest = std::max(newest, slots_[i].generation);
        auto worth = [](const Slot& slot) { return std::pair(slot.good, slot.generation); };
        if (worth(slots_[i]) < worth(slots_[older])) older = i;
    }
    const v1::Version& version = state.version();
    LkgHeader header{
        dp_id_,
        version.store_uuid(),
        version.epoch(),
        version.seq(),
        kProtocolMajor,
        newest + 1,
        now,
    };
    std::string content = state.SerializeAsString();
    Result<std::string> file = seal_lkg(header, content, *key_, random_bytes(kLkgNonceBytes));
    wipe(content);
    if (!file) return file.error();
    Result<void> written = write_file_atomically(folder_ / kFiles[older], *file, kMode, before_);
    // After an error nobody can say which of the two contents the file has; both are whole.
    if (!written) return written;
    slots_[older] = Slot{true, header.generation};
    return {};
}

// Opens both files and remembers which is which.
LkgFound LkgFolder::look() {
    LkgFound found;
    std::vector<std::pair<std::uint64_t, LkgState>> good;
    for (std::size_t i = 0; i < kFiles.size(); ++i) {
        std::filesystem::path path = folder_ / kFiles[i];
        slots_[i] = Slot{};
        std::error_code ignored;
        if (!std::filesystem::exists(path, ignored)) continue;
        Result<LkgState> state = read(path, slots_[i]);
        if (state) {
            good.emplace_back(slots_[i].generation, *std::move(state));
        } else {
            found.refused.push_back(fmt::format("{}: {}", path.string(), state.error().text()));
        }
    }
    std::sort(good.begin(), good.end(), [](const auto& a, const auto& b) {
        return a.first > b.first;
    });
    for (auto& [generation, state] : good) found.states.push_back(std::move(state));
    return found;
}

Result<LkgState> LkgFolder::read(const std::filesystem::path& path, Slot& slot) const {
    if (!key_) {
        return invalid(fmt::format(
            "its key is gone ({}); it will be replaced once a control plane has been heard",
            (folder_ / kKeyFile).string()
        ));
    }
    Result<std::string> bytes = read_file(path, kFileBytesMax);
    if (!bytes) return bytes.error();
    Result<LkgFile> file = open_lkg(*bytes, dp_id_, *key_);
    if (!file) return file.error();
    LkgState state;
    bool parsed = state.update.ParseFromString(file->content);
    wipe(file->content);
    const v1::Version& version = state.update.version();
    const LkgHeader& header = file->header;
    if (!parsed || version.store_uuid() != header.store_uuid || version.epoch() != header.epoch ||
        version.seq() != header.seq) {
        return invalid("its content is not what its header says");
    }
    state.saved_at = header.saved_at;
    slot = Slot{true, header.generation};
    return state;
}

// Held until the end. Whoever had it may have written since we looked.
Result<void> LkgFolder::lock() {
    if (lock_ < 0) {
        std::filesystem::path path = folder_ / kLockFile;
        int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kMode);
        if (fd < 0) {
            return invalid(fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)));
        }
        if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
            ::close(fd);
            return invalid(fmt::format(
                "another data plane uses {}: give each its own --state-dir", folder_.string()
            ));
        }
        lock_ = fd;
        remove_leftovers();
    }
    if (looked_) return {};
    Result<void> loaded = load_key();
    if (!loaded) return loaded;
    look();
    looked_ = true;
    return {};
}

Result<void> LkgFolder::load_key() {
    if (key_) return {};
    std::filesystem::path path = folder_ / kKeyFile;
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) return {};
    Result<std::string> hex = read_secret_file(path);
    if (!hex) return hex.error();
    std::optional<std::string> raw = from_hex(*hex);
    wipe(*hex);
    if (!raw || raw->size() != LkgKey::kBytes) {
        return invalid(fmt::format(
            "{} is not a key: remove it, and another one is made (what was kept under it is lost)",
            path.string()
        ));
    }
    key_ = std::make_unique<LkgKey>(*raw);
    wipe(*raw);
    return {};
}

Result<void> LkgFolder::make_key() {
    SecretBytes raw = random_key();
    std::string hex = to_hex(raw.view());
    hex += '\n';
    Result<void> written = write_file_atomically(folder_ / kKeyFile, hex, kMode, before_);
    if (written) key_ = std::make_unique<LkgKey>(raw.view());
    wipe(hex);
    return written;
}

// Of processes that were killed while they wrote.
void LkgFolder::remove_leftovers() const {
    std::error_code ec;
    std::error_code ignored;
    std::filesystem::directory_iterator entry(folder_, ec);
    for (; !ec && entry != std::filesystem::directory_iterator(); entry.increment(ec)) {
        std::string name = entry->path().filename().string();
        if (name.starts_with("last-known-good.") && name.ends_with(kTemporarySuffix)) {
            std::filesystem::remove(entry->path(), ignored);
        }
    }
}

}  // namespace balancer::dataplane
