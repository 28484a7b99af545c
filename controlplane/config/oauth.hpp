// `settings.oauth`, and what the file says of accounts.
#pragma once

#include "balancer/v1/config.pb.h"
#include "controlplane/config/map_reader.hpp"
#include "controlplane/config/secrets.hpp"
#include "controlplane/oauth/oauth_settings.hpp"

namespace balancer::controlplane {

OAuthSettings read_oauth(const YamlValue& value, ParseContext& context);

// `accounts` of a provider. A problem where auth_type is not oauth, and where an account stands there twice.
void read_accounts(MapReader& provider_reader, v1::Provider& provider, ParseContext& context);

// What the operator must know before subscription tokens go to such a provider.
void advise_on_oauth(const v1::Provider& provider, const std::string& path, ParseContext& context);

}  // namespace balancer::controlplane
