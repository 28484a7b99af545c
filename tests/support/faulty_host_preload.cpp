// A host that misbehaves, for a program that runs with this library in LD_PRELOAD: its wall clock is off, or its disk is
// full, by what a file says. The steady clock is left alone, as it is when a real clock is set; sockets and pipes take
// what they are given. Not libfaketime: that does not start under AddressSanitizer (it calls dlsym from inside
// clock_gettime, before the sanitizer is ready). No library is called here either, only the kernel.
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/support/faulty_host_state.hpp"

namespace {

using balancer::tests::FaultyHostState;

const volatile FaultyHostState* state = nullptr;

__attribute__((constructor)) void open_state() {
    const char* path = ::getenv("FAULTY_HOST_FILE");
    if (path == nullptr) return;
    int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    void* page = ::mmap(nullptr, sizeof(FaultyHostState), PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    if (page != MAP_FAILED) state = static_cast<const FaultyHostState*>(page);
}

bool takes_nothing(int fd) {
    struct stat status {};
    return state != nullptr && state->disk_full != 0 && ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

long no_space() {
    errno = ENOSPC;
    return -1;
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, struct timespec* time) noexcept {
    long failed = ::syscall(SYS_clock_gettime, clock, time);
    bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (failed == 0 && wall && state != nullptr) time->tv_sec += state->clock_offset_seconds;
    return static_cast<int>(failed);
}

extern "C" int gettimeofday(struct timeval* time, void*) noexcept {
    struct timespec now {};
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

extern "C" time_t time(time_t* out) noexcept {
    struct timespec now {};
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != nullptr) *out = now.tv_sec;
    return now.tv_sec;
}

extern "C" ssize_t write(int fd, const void* data, size_t size) {
    return takes_nothing(fd) ? no_space() : ::syscall(SYS_write, fd, data, size);
}

extern "C" ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
    return takes_nothing(fd) ? no_space() : ::syscall(SYS_pwrite64, fd, data, size, at);
}

extern "C" ssize_t pwrite(int fd, const void* data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }
