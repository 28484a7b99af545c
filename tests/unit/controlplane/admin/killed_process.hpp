// A process of its own for a piece of work, killed at its n-th write to the disk.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

namespace balancer::test {

// Writes, syncs, truncations and deletions that may still be done; the next one kills. -1: any
// number.
inline int disk_steps_left = -1;

inline void disk_step() {
    if (disk_steps_left < 0) return;
    if (disk_steps_left == 0) ::kill(::getpid(), SIGKILL);
    --disk_steps_left;
}

// SQLite's own file system with disk_step() before everything that changes the disk. A file is the real
// one with other methods in front.
inline sqlite3_vfs killing_vfs;
inline const sqlite3_io_methods* real_methods = nullptr;  // these three are the same for every file
inline std::map<const sqlite3_io_methods*, sqlite3_io_methods> killing_methods;

inline int killing_write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at) {
    disk_step();
    return real_methods->xWrite(file, bytes, count, at);
}

inline int killing_sync(sqlite3_file* file, int flags) {
    disk_step();
    return real_methods->xSync(file, flags);
}

inline int killing_truncate(sqlite3_file* file, sqlite3_int64 size) {
    disk_step();
    return real_methods->xTruncate(file, size);
}

inline int killing_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    sqlite3_vfs* real = static_cast<sqlite3_vfs*>(killing_vfs.pAppData);
    int code = real->xOpen(real, name, file, flags, out_flags);
    if (code != SQLITE_OK || file->pMethods == nullptr) return code;
    real_methods = file->pMethods;
    sqlite3_io_methods& methods = killing_methods[real_methods];
    methods = *real_methods;
    methods.xWrite = killing_write;
    methods.xSync = killing_sync;
    methods.xTruncate = killing_truncate;
    file->pMethods = &methods;
    return code;
}

inline int killing_delete(sqlite3_vfs*, const char* name, int sync) {
    disk_step();
    sqlite3_vfs* real = static_cast<sqlite3_vfs*>(killing_vfs.pAppData);
    return real->xDelete(real, name, sync);
}

inline void install_killing_vfs() {
    sqlite3_vfs* real = sqlite3_vfs_find(nullptr);
    killing_vfs = *real;
    killing_vfs.zName = "killing";
    killing_vfs.pAppData = real;
    killing_vfs.xOpen = killing_open;
    killing_vfs.xDelete = killing_delete;
    sqlite3_vfs_register(&killing_vfs, 1);
}

// `work` in a process of its own, which is killed at its step `kill_at`. True: it was killed before
// its end.
template <class Work>
bool killed_at(int kill_at, Work work) {
    pid_t child = ::fork();
    if (child == 0) {
        install_killing_vfs();
        try {
            work([kill_at] { disk_steps_left = kill_at; });
        } catch (...) {
            ::_exit(1);  // never back into the test program
        }
        ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) EXPECT_EQ(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

}  // namespace balancer::test
