#include "base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.hpp"

namespace balancer {
namespace {

Error errno_error(const char* what, const std::filesystem::path& path) {
    ErrorCode code(errno, boost::system::system_category());
    return Error{code, fmt::format("cannot {} {}: {}", what, path.string(), code.message())};
}

// Closes on every path.
struct Descriptor {
    int fd = -1;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

Result<void> write_all(int fd, std::string_view content, const std::filesystem::path& path) {
    while (!content.empty()) {
        ssize_t n = ::write(fd, content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_error("write", path);
        content.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max) {
    // Not to wait for whoever writes to a pipe that somebody put there.
    Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file.fd < 0) return errno_error("read", path);
    struct stat status {};
    if (::fstat(file.fd, &status) != 0) return errno_error("read", path);
    if (S_ISDIR(status.st_mode)) {
        errno = EISDIR;
        return errno_error("read", path);
    }
    if (!S_ISREG(status.st_mode)) return invalid(fmt::format("{} is not a regular file", path.string()));
    std::string content;
    std::array<char, 16384> block;
    for (;;) {
        ssize_t n = ::read(file.fd, block.data(), block.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_error("read", path);
        if (n == 0) return content;
        content.append(block.data(), static_cast<std::size_t>(n));
        if (content.size() > bytes_max) {
            return invalid(fmt::format("{} is larger than {} bytes", path.string(), bytes_max));
        }
    }
}

namespace {

// The owner and mode of another file.
Result<void> take_after(const Descriptor& file, const struct stat& like, const std::filesystem::path& path) {
    struct stat now {};
    if (::fstat(file.fd, &now) != 0) return errno_error("read", path);
    bool other = now.st_uid != like.st_uid || now.st_gid != like.st_gid;
    if (other && ::fchown(file.fd, like.st_uid, like.st_gid) != 0) return errno_error("keep the owner of", path);
    if (::fchmod(file.fd, like.st_mode & 07777) != 0) return errno_error("keep the mode of", path);
    return {};
}

// `like` is what the new file has to have; null: nothing but `mode`.
Result<void> replace_atomically(
    const std::filesystem::path& path,
    std::string_view content,
    unsigned mode,
    const struct stat* like,
    const BeforeFileStep& before
) {
    auto stopped = [&](FileStep step, const std::filesystem::path& file) -> Result<void> {
        if (!before) return {};
        return before(step, file);
    };
    std::filesystem::path temporary = path;
    temporary += fmt::format(".{}{}", random_hex(4), kTemporarySuffix);
    if (Result<void> go = stopped(FileStep::kCreate, temporary); !go) return go;
    Result<void> written;
    {
        Descriptor file{::open(
            temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, static_cast<mode_t>(mode)
        )};
        if (file.fd < 0) return errno_error("create", temporary);
        written = stopped(FileStep::kWrite, temporary);
        if (written && like != nullptr) written = take_after(file, *like, temporary);
        if (written) written = write_all(file.fd, content, temporary);
        if (written) written = stopped(FileStep::kSync, temporary);
        if (written && ::fsync(file.fd) != 0) written = errno_error("sync", temporary);
    }
    if (written) written = stopped(FileStep::kRename, temporary);
    if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
        written = errno_error("replace", path);
    }
    if (!written) {
        ::unlink(temporary.c_str());
        return written;
    }
    std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
    if (Result<void> go = stopped(FileStep::kSyncFolder, folder); !go) return go;
    Descriptor dir{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (dir.fd < 0 || ::fsync(dir.fd) != 0) return errno_error("sync", folder);
    return {};
}

}  // namespace

Result<void> write_file_atomically(
    const std::filesystem::path& path, std::string_view content, unsigned mode, const BeforeFileStep& before
) {
    return replace_atomically(path, content, mode, nullptr, before);
}

Result<void> replace_file(const std::filesystem::path& path, std::string_view content) {
    std::error_code code;
    std::filesystem::path target = std::filesystem::canonical(path, code);
    if (code) target = path;
    struct stat status {};
    bool exists = ::stat(target.c_str(), &status) == 0;
    return replace_atomically(target, content, 0600, exists ? &status : nullptr, {});
}

bool is_open_secret(unsigned mode) { return (mode & (S_IRWXO | S_IWGRP | S_IXGRP)) != 0; }

Result<std::string> read_secret_file(const std::filesystem::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return errno_error("read", path);
    if (is_open_secret(status.st_mode)) {
        return invalid(fmt::format(
            "{} is open to others than its owner and group (mode {:04o}): run chmod 600 {}, or 440",
            path.string(),
            static_cast<unsigned>(status.st_mode & 07777),
            path.string()
        ));
    }
    Result<std::string> content = read_file(path, 65536);
    if (!content) return content;
    std::size_t first = content->find_first_not_of(" \t\r\n");
    if (first == std::string::npos) return invalid(fmt::format("{} is empty", path.string()));
    std::size_t last = content->find_last_not_of(" \t\r\n");
    return content->substr(first, last - first + 1);
}

std::string to_hex(std::string_view bytes) {
    std::string hex;
    hex.reserve(bytes.size() * 2);
    for (unsigned char c : bytes) {
        hex.push_back("0123456789abcdef"[c >> 4]);
        hex.push_back("0123456789abcdef"[c & 15]);
    }
    return hex;
}

std::string random_bytes(std::size_t count) {
    std::string raw(count, '\0');
    BALANCER_CHECK(
        RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(count)) == 1
    );
    return raw;
}

std::string random_hex(std::size_t bytes) {
    return to_hex(random_bytes(bytes));
}

std::string sha256(std::string_view bytes) {
    std::string digest(SHA256_DIGEST_LENGTH, '\0');
    SHA256(
        reinterpret_cast<const unsigned char*>(bytes.data()),
        bytes.size(),
        reinterpret_cast<unsigned char*>(digest.data())
    );
    return digest;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace balancer
