#include <fmt/format.h>

#include "controlplane/config/provider_parts.hpp"
#include "model/capability_table.hpp"

namespace balancer::controlplane {
namespace {

// all, none, or a list of tokens and globs.
void read_beta_headers(MapReader& map, v1::Capabilities& out, ParseContext& context) {
    const YamlValue* value = map.find("beta_headers");
    if (value == nullptr) return;
    bool is_word = value->node.IsScalar();
    if (is_word && value->node.Scalar() == "all") return;
    v1::BetaHeaders& passes = *out.mutable_beta_headers();
    if (is_word && value->node.Scalar() == "none") return;
    if (is_word) {
        context.problems.add(
            value->at,
            value->path,
            fmt::format("{} is none of: all, none, a list", in_quotes(value->node.Scalar())),
            "write a list like [claude-code-*, interleaved-thinking-*]"
        );
        return;
    }
    for (std::string& pattern : map.texts("beta_headers")) passes.add_patterns(std::move(pattern));
}

}  // namespace

void read_capabilities(MapReader& reader, v1::Provider& provider, ParseContext& context) {
    const v1::ProviderType type = provider.type();
    const Capabilities usual = default_capabilities(type);
    v1::Capabilities& out = *provider.mutable_capabilities();
    for (const CapabilitySwitch& one : capability_switches()) {
        if (one.is_of(type)) (out.*one.set)(usual.*one.value);
    }
    const YamlValue* value = reader.find("capabilities");
    if (value == nullptr) return;
    MapReader map(*value, context.problems);
    auto refuse = [&](std::string_view key) {
        const YamlValue* given = map.find(key);
        if (given == nullptr) return;
        std::string_view other = type == v1::PROVIDER_TYPE_OPENAI ? "anthropic" : "openai";
        context.problems.add(
            given->at, given->path, fmt::format("only a provider of type {} has this", other), "take it out"
        );
    };
    for (const CapabilitySwitch& one : capability_switches()) {
        if (one.is_of(type)) {
            (out.*one.set)(map.boolean(one.name, usual.*one.value));
        } else {
            refuse(one.name);
        }
    }
    out.set_output_tokens_max(map.integer("output_tokens_max", 0, 100'000'000, usual.output_tokens_max));
    if (type == v1::PROVIDER_TYPE_OPENAI) {
        refuse("beta_headers");
    } else {
        read_beta_headers(map, out, context);
    }
    map.finish();
}

void read_signatures(MapReader& reader, v1::Provider& provider, ParseContext& context) {
    const YamlValue* value = reader.find("signatures");
    if (value == nullptr) return;
    if (provider.type() == v1::PROVIDER_TYPE_OPENAI) {
        context.problems.add(
            value->at, value->path, "only a provider of type anthropic has this: the other type signs nothing", "take it out"
        );
        return;
    }
    std::string issuer = reader.text("signatures", "anthropic");
    if (issuer.empty()) {
        context.problems.add(value->at, value->path, "is empty", "write anthropic, own, or a word for the issuer");
    }
    if (issuer == "anthropic") return;
    // Its own name cannot be another issuer's word by chance.
    provider.set_signatures(issuer == "own" ? "provider " + provider.name() : "issuer " + issuer);
}

}  // namespace balancer::controlplane
