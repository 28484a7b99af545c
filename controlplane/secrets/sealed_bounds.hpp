// What every sealed store refuses, in the same words.
#pragma once

#include <string_view>

#include "controlplane/secrets/sealed_store.hpp"

namespace balancer::controlplane {

Result<void> check_sealed_bounds(SealedKind kind, std::string_view name, std::string_view content);

// `stored` is 0 when there is no such record; no error when it is what was expected.
Result<void> check_sealed_generation(
    SealedKind kind, std::string_view name, std::uint64_t stored, std::uint64_t if_generation
);

}  // namespace balancer::controlplane
