// A program of ours as a process of its own, so that a test can stop it, wake it and kill it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace balancer::tests {

// Killed and reaped at the end, whatever became of it. Not thread-safe.
class ChildProcess {
  public:
    // stdout and stderr go to `log`. Its environment is ours, with `environment` ("NAME=value") before it. Throws
    // std::system_error when it cannot be started.
    ChildProcess(
        const std::filesystem::path& program,
        const std::vector<std::string>& arguments,
        const std::filesystem::path& log,
        const std::vector<std::string>& environment = {}
    );
    // One that is a child of ours already.
    explicit ChildProcess(pid_t pid) : pid_(pid) {}
    ~ChildProcess();
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    void signal(int number) const;

    pid_t pid() const { return pid_; }

    // SIGKILL; returns when it is gone.
    void kill();

    bool running();

    // Of one that runs no more by itself: as waitpid(2) tells it. 0: it ended well.
    int status() const { return status_; }

  private:
    pid_t pid_ = -1;
    int status_ = -1;
};

// The processes that `parent` has started and that still are.
std::vector<pid_t> children_of(pid_t parent);

}  // namespace balancer::tests
