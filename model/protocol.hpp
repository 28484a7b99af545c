// What both ends of the sync protocol must agree on beside the messages themselves.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace balancer {

// Planes of different majors refuse each other; minors only add.
inline constexpr std::uint32_t kProtocolMajor = 1;
inline constexpr std::uint32_t kProtocolMinor = 0;

// Set on both ends: gRPC's own receive limit of 4 MiB is below a large fleet's configuration.
inline constexpr int kSyncMessageBytesMax = 32 << 20;

// Of a replica or one of its processes: what may stand in an id.
inline bool is_id_character(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}
inline constexpr std::size_t kIdBytesMax = 64;

inline bool is_data_plane_id(std::string_view text) {
    return !text.empty() && text.size() <= kIdBytesMax && std::all_of(text.begin(), text.end(), is_id_character);
}
// Of a provider, a model or a build in a message to the control plane; what is longer is cut there.
inline constexpr std::size_t kNameBytesMax = 256;

// What a control plane accepts of one message. Data planes and balancerctl have less to say than it
// has, and there are many of them.
inline constexpr int kToControlPlaneBytesMax = 4 << 20;

}  // namespace balancer
