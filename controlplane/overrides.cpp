#include "controlplane/overrides.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace balancer::controlplane {

Effective apply_overrides(const v1::ConfigSection& file, const std::vector<Override>& overrides) {
    Effective result;
    result.config = file;
    for (const Override& entry : overrides) {
        auto* providers = result.config.mutable_providers();
        auto found = std::find_if(providers->begin(), providers->end(), [&](const v1::Provider& p) {
            return p.name() == entry.provider;
        });
        if (found == providers->end() || found->enabled() != entry.enabled_in_file) {
            result.ended.push_back(entry);
            continue;
        }
        found->set_enabled(entry.enabled);
        result.kept.push_back(entry);
    }
    return result;
}

std::size_t count_enabled(const v1::ConfigSection& config) {
    return static_cast<std::size_t>(std::count_if(
        config.providers().begin(),
        config.providers().end(),
        [](const v1::Provider& provider) { return provider.enabled(); }
    ));
}

std::string describe(const Override& entry) {
    auto word = [](bool enabled) { return enabled ? "enabled" : "disabled"; };
    return fmt::format(
        "provider '{}' is {} by hand{}, the file says {}",
        entry.provider,
        entry.drain ? "drained" : word(entry.enabled),
        entry.reason.empty() ? std::string() : fmt::format(" ({})", entry.reason),
        word(entry.enabled_in_file)
    );
}

}  // namespace balancer::controlplane
