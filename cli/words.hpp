// Values in the words of a person.
#pragma once

#include <string>
#include <string_view>

#include "balancer/v1/admin.pb.h"
#include "base/clock.hpp"
#include "cli/table.hpp"

namespace balancer::cli {

// "12s", "3m", "2h", "5d": the largest whole unit.
std::string duration_words(Milliseconds duration);

// "3m ago", or "never" for 0. A time ahead of us (the two clocks differ) is "now".
std::string ago(UnixMs at, UnixMs now);

// "3.12": epoch and sequence number; "-" for none.
std::string version_words(const v1::Version& version);

// In the order of one store: an epoch's seq starts anew.
bool at_least(const v1::Version& version, const v1::Version& wanted);

// "file", "cli", …
std::string source_words(v1::RevisionSource source);

// "closed", "open, 25s left", …; "-" for a disabled provider. "closed, spared": it would be open if a
// route could do without it.
Cell circuit_words(const v1::ProviderView& provider, UnixMs now);

// "rate_limited"
std::string class_words(std::uint32_t failure_class);

// "config.yaml:12:5: providers[2].auth_typ: unknown key; did you mean 'auth_type'?" `file` takes
// the place of the problem's own file when it is not empty.
std::string problem_words(const v1::ConfigProblem& problem, const std::string& file);

}  // namespace balancer::cli
