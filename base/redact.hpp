// Takes secrets out of text before it is logged or shown.
#pragma once

#include <string>
#include <string_view>

namespace balancer {

// Replaces, by their shape: `sk-…` keys, `Bearer …` values, values of `x-api-key`/`api_key`/`token`/`password`
// style names, and `user:password@` in URLs. Everything else stays as it is. Thread-safe.
std::string redact(std::string_view text);

// A name for a secret that gives nothing away: the first 8 hex digits of its SHA-256.
std::string fingerprint(std::string_view secret);

}  // namespace balancer
