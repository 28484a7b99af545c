#include "controlplane/oauth/post_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/file.hpp"

namespace balancer::controlplane {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLock = ".lock";
constexpr std::size_t kAnswerBytesMax = 1 << 20;

Error system_error(const char* what, const fs::path& path) {
    ErrorCode code(errno, boost::system::system_category());
    return Error{code, fmt::format("cannot {} {}: {}", what, path.string(), code.message())};
}

fs::path lock_file(const fs::path& folder, const std::string& attempt) {
    return folder / (attempt + kLock);
}

}  // namespace

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
    if (this != &other) {
        close();
        fd_ = other.release();
    }
    return *this;
}

void OpenFile::close() {
    if (fd_ >= 0) ::close(release());
}

Result<OpenFile> PostFolder::begin(const std::string& attempt) const {
    if (::mkdir(folder_.c_str(), 0700) == 0) {
        // Else a power cut takes it with all that was synced in it.
        OpenFile above(::open(folder_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!above || ::fsync(above.fd()) != 0) return system_error("sync", folder_.parent_path());
    } else if (errno != EEXIST) {
        return system_error("make", folder_);
    }
    fs::path path = lock_file(folder_, attempt);
    OpenFile file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) return system_error("create", path);
    if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) return system_error("lock", path);
    return file;
}

PostState PostFolder::look(const std::string& attempt) const {
    OpenFile lock(::open(lock_file(folder_, attempt).c_str(), O_RDWR | O_CLOEXEC));
    // The lock first: whoever lets it go has left his answer before.
    if (lock && ::flock(lock.fd(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return PostState::kAtWork;
    struct stat status {};
    if (::stat((folder_ / attempt).c_str(), &status) == 0) return PostState::kAnswered;
    // Without its lock, say after a power cut, nothing is known.
    bool clean = lock && ::fstat(lock.fd(), &status) == 0 && status.st_size == 0;
    return clean ? PostState::kNotPosted : PostState::kUnknown;
}

Result<std::string> PostFolder::answer(const std::string& attempt) const {
    return read_file(folder_ / attempt, kAnswerBytesMax);
}

void PostFolder::keep_only(const std::set<std::string>& attempts) const {
    std::error_code code;
    std::vector<fs::path> stale;
    for (fs::directory_iterator file(folder_, code), end; !code && file != end; file.increment(code)) {
        std::string name = file->path().filename().string();
        if (!attempts.contains(name.substr(0, name.find('.')))) stale.push_back(file->path());
    }
    for (const fs::path& file : stale) fs::remove(file, code);
}

bool PostFolder::mark_posted(int lock) {
    return ::write(lock, "p", 1) == 1 && ::fsync(lock) == 0;
}

Result<void> PostFolder::keep_answer(const fs::path& folder, const std::string& attempt, std::string_view sealed) {
    return write_file_atomically(folder / attempt, sealed, 0600);
}

}  // namespace balancer::controlplane
