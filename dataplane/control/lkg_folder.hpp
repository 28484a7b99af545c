// Two generations of last known good state in a data plane's state directory.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "balancer/v1/data_plane.pb.h"
#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/result.hpp"
#include "dataplane/control/lkg_file.hpp"

namespace balancer::dataplane {

// One that opened: a whole state, as the Update that would bring it.
struct LkgState {
    v1::Update update;
    UnixMs saved_at = 0;
};

struct LkgFound {
    std::vector<LkgState> states;      // newest first
    std::vector<std::string> refused;  // words for each file, and for a key, that is of no use
};

// Blocks on the disk; used from one thread at a time.
//
// A state goes over the older of two files, so that a process which dies at any step leaves the
// newer one. The key lies beside them: it guards copies and backups of single files, not against
// who can read the folder. A lock keeps two processes from writing in turns; who has not got it
// reads only.
class LkgFolder {
  public:
    static constexpr const char* kKeyFile = "last-known-good.key";
    static constexpr const char* kLockFile = "last-known-good.lock";
    static constexpr std::array<const char*, 2> kFiles = {"last-known-good.1", "last-known-good.2"};

    // `folder` exists; `before` is for tests.
    LkgFolder(std::filesystem::path folder, std::string dp_id, BeforeFileStep before = {});
    ~LkgFolder();
    LkgFolder(const LkgFolder&) = delete;
    LkgFolder& operator=(const LkgFolder&) = delete;

    LkgFound find();

    // Gives the lock back until the next save(), for another process.
    void unlock();

    // Makes the key when there is none. An error leaves what was there.
    Result<void> save(const v1::Update& state, UnixMs now);

  private:
    struct Slot {
        bool good = false;
        std::uint64_t generation = 0;
    };

    LkgFound look();
    Result<LkgState> read(const std::filesystem::path& path, Slot& slot) const;
    Result<void> lock();
    Result<void> load_key();
    Result<void> make_key();
    void remove_leftovers() const;

    std::filesystem::path folder_;
    std::string dp_id_;
    BeforeFileStep before_;
    std::unique_ptr<LkgKey> key_;
    int lock_ = -1;
    bool looked_ = false;  // since the lock is held: slots_ tells what is on disk
    std::array<Slot, kFiles.size()> slots_;
};

}  // namespace balancer::dataplane
