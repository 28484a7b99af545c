// The rank data that the build has put into the program.
#pragma once

#include <span>

namespace balancer::tokens {

enum class EncodingName;

// Packed for RankTable, in read-only memory; empty when the program was built without it.
std::span<const unsigned char> embedded_ranks(EncodingName name);

}  // namespace balancer::tokens
