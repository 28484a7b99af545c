// Pieces of one provider that have rules of their own.
#pragma once

#include "balancer/v1/config.pb.h"
#include "controlplane/config/map_reader.hpp"
#include "controlplane/config/secrets.hpp"

namespace balancer::controlplane {

// auth_type and auth_value. Adds the credential that a data plane must send, named "provider/NAME";
// none for passthrough and OAuth. Reads the provider's type, which has to be known before.
void read_credential(
    MapReader& reader,
    ParseContext& context,
    v1::Provider& provider,
    v1::CredentialSection& credentials
);

// `headers`: names that would break the request's framing are refused.
void read_headers(const YamlValue& value, ParseContext& context, v1::Provider& provider);

// `ca_file`: its text goes into ca_pem once OpenSSL has found a certificate in it.
void read_ca_file(const YamlValue& value, ParseContext& context, v1::Provider& provider);

}  // namespace balancer::controlplane
