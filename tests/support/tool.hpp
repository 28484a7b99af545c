// Programs of others that tests start, from the Debian packages of deploy/install-build-deps.sh.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace balancer::tests {

// The system's, or the one in build/tools. Throws std::runtime_error that says what to do when there is none.
std::filesystem::path find_tool(std::string_view name);

// Nobody's at the moment, on 127.0.0.1. For programs that cannot tell which port they have got: who has taken it by the
// time that it is used, nobody knows, so start such a program again with another one when it ends at once.
std::uint16_t free_port();

// `text` with `from`, which is in it exactly once, replaced. Throws std::runtime_error otherwise: for a shipped file, so that
// a test changes no less and no more of it than it means to.
std::string replaced_once(std::string text, std::string_view from, std::string_view to);

// In the source tree.
std::filesystem::path shipped_path(const std::filesystem::path& path);

// A file of it; throws std::runtime_error when it cannot be read.
std::string shipped_file(const std::filesystem::path& path);

}  // namespace balancer::tests
