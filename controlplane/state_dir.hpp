// The control plane's state directory: private, with the tokens that the other programs show.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.hpp"

namespace balancer::controlplane {

inline constexpr const char* kAdminTokenFile = "admin.token";
inline constexpr const char* kDataPlaneTokenFile = "dataplane.token";
inline constexpr const char* kAddressesFile = "addresses.json";

// Makes the directory (and its parents) when missing, and takes it from group and others (mode
// 0700); refuses to do that to one with files of somebody else in it.
Result<void> prepare_state_dir(const std::filesystem::path& state_dir);

struct Tokens {
    std::string admin;
    std::string data_plane;
};

// Reads both token files, making each that is missing: 32 random bytes in hex, mode 0600. An
// existing file is never overwritten; one that others can read is refused with the chmod that mends
// it.
Result<Tokens> load_or_make_tokens(const std::filesystem::path& state_dir);

// What was bound, for scripts that asked for port 0:
// {"grpc":"127.0.0.1:40123","http":"127.0.0.1:40124"}.
struct Addresses {
    std::string grpc;
    std::string http;
};

Result<void> write_addresses(const std::filesystem::path& state_dir, const Addresses& addresses);

// A file left by a run that has ended would send scripts to ports that are somebody else's now.
void remove_addresses(const std::filesystem::path& state_dir);

}  // namespace balancer::controlplane
