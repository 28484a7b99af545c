// The `settings` part of the file.
#pragma once

#include "balancer/v1/config.pb.h"
#include "controlplane/config/map_reader.hpp"
#include "controlplane/config/secrets.hpp"
#include "controlplane/oauth/oauth_settings.hpp"

namespace balancer::controlplane {

struct ParsedSettings {
    v1::Settings settings;
    OAuthSettings oauth;
    // What a provider without `timeouts` of its own gets.
    v1::Timeouts streaming;
    v1::Timeouts non_streaming;
};

// Every default is the original's. Problems and notices go into `context`; what could not be read
// has its default.
ParsedSettings read_settings(const YamlValue& value, ParseContext& context);

// `settings.auth`, and the older scalars `settings.auth_enabled`, `auth_api_key` and
// `auth_exempt_paths`, which count when there is no such map.
v1::ClientAuth read_client_auth(MapReader& settings, ParseContext& context);

}  // namespace balancer::controlplane
