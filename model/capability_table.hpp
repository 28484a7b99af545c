// Capabilities by name: for the file's keys, the wire and whoever shows them.
#pragma once

#include <span>
#include <string_view>

#include "balancer/v1/config.pb.h"
#include "model/capabilities.hpp"

namespace balancer {

// One that is on or off.
struct CapabilitySwitch {
    std::string_view name;
    bool Capabilities::*value;
    bool (v1::Capabilities::*get)() const;
    void (v1::Capabilities::*set)(bool);
    bool of_anthropic;  // which types of provider have it
    bool of_openai;

    bool is_of(v1::ProviderType type) const {
        return type == v1::PROVIDER_TYPE_OPENAI ? of_openai : of_anthropic;
    }
};

std::span<const CapabilitySwitch> capability_switches();

// What a provider of this type takes unless its table says otherwise.
Capabilities default_capabilities(v1::ProviderType type);

// In force for the provider: its own table, or the defaults. Without beta_headers.
Capabilities capabilities_of(const v1::Provider& provider);

}  // namespace balancer
