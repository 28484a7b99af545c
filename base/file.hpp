// Small files, whole. For configuration, tokens and keys; not for anything on a request's path.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace balancer {

// The whole file. An error names the path and the reason. A file over `bytes_max` is refused.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max = 64 << 20);

// What write_file_atomically is about to do.
enum class FileStep { kCreate, kWrite, kSync, kRename, kSyncFolder };

// Called before each step with the file (or folder) that it is about; an error of it is taken for the step's own.
// Tests stop, fail or watch the steps with it.
using BeforeFileStep = std::function<Result<void>(FileStep, const std::filesystem::path&)>;

// Replaces `path` in one step: temporary file in the same folder, fsync, rename, fsync of the folder. `mode` as chmod(2).
// The temporary file is called like `path` with a random part and kTemporarySuffix; only a process that is killed in
// between leaves one behind.
Result<void> write_file_atomically(
    const std::filesystem::path& path,
    std::string_view content,
    unsigned mode,
    const BeforeFileStep& before = {}
);
inline constexpr std::string_view kTemporarySuffix = ".tmp";

// As write_file_atomically, for a file that is somebody else's: one that exists keeps its owner and mode, and where `path`
// is a symbolic link, what it leads to is replaced. Refused when the owner cannot be kept.
Result<void> replace_file(const std::filesystem::path& path, std::string_view content);

// Whether a file of this mode is open to those who have no business with a secret: others in any way, or the group by more
// than reading. A group that reads is how systemd (LoadCredential=, an ACL shows as group) and Kubernetes (a secret with
// fsGroup) hand one over.
bool is_open_secret(unsigned mode);

// A token file's content without surrounding white space; refuses one that is empty, or open (is_open_secret; says the
// chmod that mends it).
Result<std::string> read_secret_file(const std::filesystem::path& path);

// `count` random bytes of OpenSSL's generator.
std::string random_bytes(std::size_t count);

// `bytes` random bytes of OpenSSL's generator, as lower-case hex.
std::string random_hex(std::size_t bytes);

// Lower-case hex.
std::string to_hex(std::string_view bytes);

// The 32 raw bytes of SHA-256.
std::string sha256(std::string_view bytes);

// Equal in time that depends on the lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace balancer
