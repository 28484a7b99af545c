// A request's history in the words of a person.
#pragma once

#include <string>

#include "balancer/v1/data_plane.pb.h"
#include "base/clock.hpp"
#include "cli/table.hpp"

namespace balancer::cli {

// "812 ms", "4.2 s", "3 min 20 s".
std::string time_words(std::int64_t ms);

// "12.3 kB".
std::string size_words(std::uint64_t bytes);

// "2026-11-25 03:12:45 UTC (4m ago)"
std::string moment_words(UnixMs at, UnixMs now);

// What happened, in one sentence or two: "alpha failed (rate_limited, 429), then beta answered with 200 after 4.2 s."
std::string story(const v1::RequestRecord& record);

// "failed: rate_limited (429): This request would exceed …"
Cell fate_words(const v1::CandidateRecord& candidate, UnixMs now);

// "at 12 ms, connect 3 ms, first byte 118 ms, 131 ms in all"; empty when it was not asked.
std::string times_words(const v1::CandidateRecord& candidate);

}  // namespace balancer::cli
