// What a process that posts leaves on disk, so that a control plane that was killed meanwhile finds it.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace balancer::controlplane {

// A descriptor of its own; closed at the end.
class OpenFile {
  public:
    OpenFile() = default;
    explicit OpenFile(int fd) : fd_(fd) {}
    ~OpenFile() { close(); }
    OpenFile(OpenFile&& other) noexcept : fd_(other.release()) {}
    OpenFile& operator=(OpenFile&& other) noexcept;
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    explicit operator bool() const { return fd_ >= 0; }
    int fd() const { return fd_; }
    void close();
    // Somebody else closes it.
    int release() { return std::exchange(fd_, -1); }

  private:
    int fd_ = -1;
};

enum class PostState {
    kAtWork,     // its process is there
    kNotPosted,  // it is gone, and had not begun to post
    kAnswered,   // it has left an answer
    kUnknown,    // it is gone, and may have posted
};

// One folder, STATE_DIR/refresh. Of each attempt there are two files: ATTEMPT.lock is locked as long as somebody has it open
// who is about to post or posts, and has a byte in it from right before the post on; ATTEMPT is the sealed answer, there whole
// or not at all. Errors name the path.
class PostFolder {
  public:
    explicit PostFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

    // The lock of a new attempt, to be handed to the process that posts.
    Result<OpenFile> begin(const std::string& attempt) const;

    PostState look(const std::string& attempt) const;

    Result<std::string> answer(const std::string& attempt) const;

    // Whatever belongs to other attempts goes.
    void keep_only(const std::set<std::string>& attempts) const;

    const std::filesystem::path& path() const { return folder_; }

    // For the process that posts. On disk when they return.
    static bool mark_posted(int lock);
    static Result<void> keep_answer(
        const std::filesystem::path& folder, const std::string& attempt, std::string_view sealed
    );

  private:
    std::filesystem::path folder_;
};

}  // namespace balancer::controlplane
