// The `providers` part of the file: whom to ask, how to get there, and with what credential.
#pragma once

#include <map>
#include <string>

#include "balancer/v1/config.pb.h"
#include "controlplane/config/secrets.hpp"
#include "controlplane/config/settings.hpp"

namespace balancer::controlplane {

// Where each provider stands in the file, by name.
using ProviderPositions = std::map<std::string, YamlValue, std::less<>>;

// Fills config.providers (each that has a name, even when other things about it are wrong, so that
// routes can be checked against it) and the credentials, in file order.
ProviderPositions read_providers(
    const YamlValue& value,
    const ParsedSettings& settings,
    ParseContext& context,
    v1::ConfigSection& config,
    v1::CredentialSection& credentials
);

// The provider's generation: 16 hex digits over what decides who answers, and how he is asked: name, type, addresses, proxy,
// headers, trust, credential and its value. What is known of one generation says nothing of another.
std::string etag_of(const v1::Provider& provider, const v1::CredentialSection& credentials);

}  // namespace balancer::controlplane
