#include "model/capability_table.hpp"

#include <array>

namespace balancer {
namespace {

constexpr bool kYes = true;
constexpr bool kNo = false;

using In = Capabilities;
using Wire = v1::Capabilities;

// The last two: do providers of type anthropic have it, and those of type openai?
const std::array<CapabilitySwitch, 23> kSwitches = {{
    {"images", &In::images, &Wire::images, &Wire::set_images, kYes, kYes},
    {"documents", &In::documents, &Wire::documents, &Wire::set_documents, kYes, kYes},
    {"tools", &In::tools, &Wire::tools, &Wire::set_tools, kYes, kYes},
    {"parallel_tools", &In::parallel_tools, &Wire::parallel_tools, &Wire::set_parallel_tools, kYes, kYes},
    {"thinking", &In::thinking, &Wire::thinking, &Wire::set_thinking, kYes, kYes},
    {"thinking_display", &In::thinking_display, &Wire::thinking_display, &Wire::set_thinking_display, kYes, kNo},
    {"reasoning_effort", &In::reasoning_effort, &Wire::reasoning_effort, &Wire::set_reasoning_effort, kNo, kYes},
    {"cache_control", &In::cache_control, &Wire::cache_control, &Wire::set_cache_control, kYes, kYes},
    {"cache_ttl", &In::cache_ttl, &Wire::cache_ttl, &Wire::set_cache_ttl, kYes, kNo},
    {"cache_scope", &In::cache_scope, &Wire::cache_scope, &Wire::set_cache_scope, kYes, kNo},
    {"context_management", &In::context_management, &Wire::context_management, &Wire::set_context_management, kYes, kNo},
    {"effort", &In::effort, &Wire::effort, &Wire::set_effort, kYes, kNo},
    {"turn_control", &In::turn_control, &Wire::turn_control, &Wire::set_turn_control, kYes, kNo},
    {"structured_output", &In::structured_output, &Wire::structured_output, &Wire::set_structured_output, kYes, kYes},
    {"server_tools", &In::server_tools, &Wire::server_tools, &Wire::set_server_tools, kYes, kNo},
    {"advanced_tools", &In::advanced_tools, &Wire::advanced_tools, &Wire::set_advanced_tools, kYes, kNo},
    {"files", &In::files, &Wire::files, &Wire::set_files, kYes, kNo},
    {"service_tier", &In::service_tier, &Wire::service_tier, &Wire::set_service_tier, kYes, kNo},
    {"sampling", &In::sampling, &Wire::sampling, &Wire::set_sampling, kYes, kYes},
    {"top_k", &In::top_k, &Wire::top_k, &Wire::set_top_k, kYes, kYes},
    {"stream_usage", &In::stream_usage, &Wire::stream_usage, &Wire::set_stream_usage, kNo, kYes},
    {"system_anywhere", &In::system_anywhere, &Wire::system_anywhere, &Wire::set_system_anywhere, kYes, kYes},
    {"max_completion_tokens", &In::max_completion_tokens, &Wire::max_completion_tokens, &Wire::set_max_completion_tokens, kNo, kYes},
}};

}  // namespace

std::span<const CapabilitySwitch> capability_switches() { return kSwitches; }

Capabilities default_capabilities(v1::ProviderType type) {
    return type == v1::PROVIDER_TYPE_OPENAI ? Capabilities{} : anthropic_capabilities();
}

Capabilities capabilities_of(const v1::Provider& provider) {
    Capabilities out = default_capabilities(provider.type());
    if (!provider.has_capabilities()) return out;
    const v1::Capabilities& in = provider.capabilities();
    for (const CapabilitySwitch& one : kSwitches) {
        if (one.is_of(provider.type())) out.*one.value = (in.*one.get)();
    }
    out.output_tokens_max = in.output_tokens_max();
    return out;
}

}  // namespace balancer
