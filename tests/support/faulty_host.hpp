// The wall clock and the disk of a child process, which a test may set and fill while it runs.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/faulty_host_state.hpp"

namespace balancer::tests {

// Give environment() to the ChildProcess; CMake gives the library's path (balancer_needs_processes).
class FaultyHost {
  public:
    // `file` is made, and must stay while the child runs.
    explicit FaultyHost(std::filesystem::path file) : file_(std::move(file)) { write(); }

    // From now on its wall clock is off by this much.
    void set_clock(std::chrono::seconds offset) {
        state_.clock_offset_seconds = offset.count();
        write();
    }

    // From now on its files take nothing more, or take it again.
    void fill_disk(bool full) {
        state_.disk_full = full ? 1 : 0;
        write();
    }

    std::vector<std::string> environment(const std::string& library) const {
        return {"LD_PRELOAD=" + library, "FAULTY_HOST_FILE=" + file_.string()};
    }

  private:
    void write() const {
        int fd = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        bool written = fd >= 0 && ::pwrite(fd, &state_, sizeof(state_), 0) == sizeof(state_);
        if (fd >= 0) ::close(fd);
        if (!written) throw std::runtime_error("cannot write " + file_.string());
    }

    std::filesystem::path file_;
    FaultyHostState state_;
};

}  // namespace balancer::tests
