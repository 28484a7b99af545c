// Sealing keys as text: the file in the state directory, a systemd credential, an environment variable. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "controlplane/secrets/envelope.hpp"

namespace balancer::controlplane {

inline constexpr std::size_t kSealingKeysMax = 64;
inline constexpr std::size_t kKeyTextBytesMax = 16 << 10;

// The first is the active one: what is written is sealed with it. At least one, no two alike.
using SealingKeys = std::vector<SealingKey>;

// One key a line; empty lines and lines that begin with # do not count. Either 64 hexadecimal digits each (a comma ends
// a line, too), the active one first, or as print_keys writes them: "active ID KEY" once and "old ID KEY", where an ID
// that is not the key's tells of damage. Errors name the line, never what stands in it.
Result<SealingKeys> parse_keys(std::string_view text);

SecretBytes print_keys(const SealingKeys& keys);

}  // namespace balancer::controlplane
