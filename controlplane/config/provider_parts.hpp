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

// provider_capabilities.cpp: both read the provider's type, which has to be known before.
//
// `capabilities`: the whole table, what the file does not say as the type's defaults say it.
void read_capabilities(MapReader& reader, v1::Provider& provider, ParseContext& context);

// `signatures`: whose thinking it is that the provider gives and takes. Anthropic's is good on each of its platforms.
void read_signatures(MapReader& reader, v1::Provider& provider, ParseContext& context);

}  // namespace balancer::controlplane
