// Configurations, updates and outcomes that the sync tests are made of.
#pragma once

#include <string>
#include <vector>

#include "balancer/v1/config.pb.h"
#include "balancer/v1/data_plane.pb.h"
#include "base/file.hpp"
#include "model/health.hpp"

namespace balancer::samples {

inline v1::ConfigSection config(const std::vector<std::string>& providers) {
    v1::ConfigSection section;
    section.set_schema(1);
    for (const std::string& name : providers) {
        v1::Provider& provider = *section.add_providers();
        provider.set_name(name);
        provider.set_type(v1::PROVIDER_TYPE_ANTHROPIC);
        provider.set_base_url("https://" + name + ".example");
        provider.set_auth_type(v1::AUTH_TYPE_API_KEY);
        provider.set_credential_ref(name);
        provider.set_enabled(true);
        provider.set_etag(name + "-1");
        // Its own route, with all the others behind it: a sole provider is never taken out.
        v1::Route& route = *section.add_routes();
        route.set_pattern(name + "-model");
        for (const std::string& other : providers) {
            v1::RouteTarget& target = *route.add_targets();
            target.set_provider(other);
            target.set_priority(other == name ? 1 : 2);
            target.set_enabled(true);
        }
    }
    v1::HealthPolicy& policy = *section.mutable_settings()->mutable_health();
    policy.set_failure_cooldown_ms(60'000);
    policy.set_unhealthy_threshold(2);
    policy.set_unhealthy_reset_on_success(true);
    policy.set_unhealthy_reset_timeout_ms(300'000);
    return section;
}

inline v1::CredentialSection credentials(const std::vector<std::string>& refs) {
    v1::CredentialSection section;
    for (const std::string& ref : refs) {
        v1::Credential& credential = *section.add_credentials();
        credential.set_ref(ref);
        credential.set_header_name("x-api-key");
        credential.set_header_value("key-of-" + ref);
    }
    return section;
}

inline v1::Version version(std::uint64_t epoch, std::uint64_t seq, std::string store = "store-a") {
    v1::Version out;
    out.set_store_uuid(std::move(store));
    out.set_epoch(epoch);
    out.set_seq(seq);
    return out;
}

inline v1::Section section(v1::SectionKind kind, const google::protobuf::MessageLite& content) {
    v1::Section out;
    out.set_kind(kind);
    out.set_payload(content.SerializeAsString());
    out.set_sha256(sha256(out.payload()));
    return out;
}

inline v1::Update update(
    const v1::Version& at,
    const v1::ConfigSection& config_section,
    const v1::HealthSection& health = {},
    const v1::CredentialSection& credential_section = {}
) {
    v1::Update out;
    out.set_nonce(at.seq());
    *out.mutable_version() = at;
    *out.add_sections() = section(v1::SECTION_KIND_CONFIG, config_section);
    *out.add_sections() = section(v1::SECTION_KIND_HEALTH, health);
    *out.add_sections() = section(v1::SECTION_KIND_CREDENTIALS, credential_section);
    return out;
}

// A 529 that the policy counts, of an attempt that took 10 ms and ended at `at`.
inline AttemptOutcome failure(const std::string& provider, UnixMs at) {
    AttemptOutcome outcome;
    outcome.provider = provider;
    outcome.etag = provider + "-1";
    outcome.failure = FailureClass::kOverloaded;
    outcome.counted = true;
    outcome.http_status = 529;
    outcome.started_at = at - 10;
    outcome.at = at;
    return outcome;
}

inline AttemptOutcome success(const std::string& provider, UnixMs at) {
    AttemptOutcome outcome;
    outcome.provider = provider;
    outcome.etag = provider + "-1";
    outcome.ok = true;
    outcome.started_at = at - 10;
    outcome.at = at;
    return outcome;
}

}  // namespace balancer::samples
