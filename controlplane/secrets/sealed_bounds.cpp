#include "controlplane/secrets/sealed_bounds.hpp"

#include <fmt/format.h>

namespace balancer::controlplane {

Result<void> check_sealed_bounds(SealedKind kind, std::string_view name, std::string_view content) {
    if (name.empty() || name.size() > SealedStore::kNameBytesMax) {
        return sealed_error(
            SealedErrc::kRefused,
            fmt::format("the name of a sealed {} has 1 to {} bytes", name_of(kind), SealedStore::kNameBytesMax)
        );
    }
    if (content.size() > SealedStore::kContentBytesMax) {
        return sealed_error(
            SealedErrc::kRefused,
            fmt::format(
                "{} '{}' is larger than the {} bytes that can be sealed",
                name_of(kind),
                name,
                SealedStore::kContentBytesMax
            )
        );
    }
    return {};
}

Result<void> check_sealed_generation(
    SealedKind kind, std::string_view name, std::uint64_t stored, std::uint64_t if_generation
) {
    if (stored == if_generation) return {};
    std::string found = stored == 0 ? "there is none" : fmt::format("generation {} is stored", stored);
    std::string wanted = if_generation == 0 ? "none" : fmt::format("generation {}", if_generation);
    return sealed_error(
        SealedErrc::kConflict,
        fmt::format("sealed {} '{}' was to replace {}, but {}", name_of(kind), name, wanted, found)
    );
}

}  // namespace balancer::controlplane
