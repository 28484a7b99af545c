#include "controlplane/config/provider_parts.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/file.hpp"
#include "controlplane/config/sealed_key.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::size_t kCaBytesMax = 1 << 20;
constexpr std::size_t kHeadersMax = 100;
constexpr std::string_view kPassthrough = "passthrough";

// Written by the data plane itself from the request it sends; a second opinion would make two
// requests of one.
constexpr std::array<std::string_view, 12> kOwnHeaders = {
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "proxy-connection",
    "proxy-authorization",
    "expect",
    "accept-encoding",
};

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return out;
}

// RFC 9110, token.
bool is_header_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
}

bool holds_certificate(const std::string& pem) {
    std::unique_ptr<BIO, decltype(&BIO_free)> bio(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free
    );
    if (!bio) return false;
    std::unique_ptr<X509, decltype(&X509_free)> certificate(
        PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free
    );
    return certificate != nullptr;
}

// The secret under that name. None, and no problem of the file either, when it cannot be had: it may come back without
// the file being changed, and until then the rest is to serve.
std::optional<std::string> read_sealed_key(
    const YamlValue& value, const std::string& name, const std::string& provider, ParseContext& context
) {
    if (!is_sealed_name(name)) {
        context.problems.add(
            value.at,
            value.path,
            "'sealed:' must be followed by the name that `balancerctl providers add` gave the key"
        );
        return std::nullopt;
    }
    SealedKeyUse& use = context.sealed[provider];
    use.name = name;
    if (!context.sealed_keys) {
        use.problem = "its key has not been looked up";
        return std::nullopt;
    }
    Result<std::string> secret = context.sealed_keys(name);
    if (!secret) {
        use.problem = secret.error().text();
        return std::nullopt;
    }
    if (const char* flaw = flaw_of_secret(*secret)) {
        context.problems.add(value.at, value.path, flaw);
        return std::nullopt;
    }
    return *std::move(secret);
}

}  // namespace

void read_credential(
    MapReader& reader,
    ParseContext& context,
    v1::Provider& provider,
    v1::CredentialSection& credentials
) {
    static constexpr MapReader::Choices<v1::AuthType, 3> kTypes = {{
        {"api_key", v1::AUTH_TYPE_API_KEY},
        {"auth_token", v1::AUTH_TYPE_AUTH_TOKEN},
        {"oauth", v1::AUTH_TYPE_OAUTH},
    }};
    reader.require("auth_type");
    provider.set_auth_type(reader.choice("auth_type", kTypes, v1::AUTH_TYPE_UNSPECIFIED));
    const bool oauth = provider.auth_type() == v1::AUTH_TYPE_OAUTH;
    const YamlValue* value = oauth ? reader.find("auth_value") : reader.require("auth_value");
    // Whatever the type, as in the original.
    if (value != nullptr && value->node.IsScalar() && value->node.Scalar() == kPassthrough) {
        provider.set_auth_type(v1::AUTH_TYPE_PASSTHROUGH);
        return;
    }
    if (oauth && provider.type() == v1::PROVIDER_TYPE_OPENAI) {
        const YamlValue* type = reader.find("auth_type");
        context.problems.add(type->at, type->path, "accounts are of Claude: a provider with oauth has type: anthropic");
    }
    if (oauth || value == nullptr) return;
    provider.set_credential_ref("provider/" + provider.name());
    std::optional<std::string> sealed =
        value->node.IsScalar() ? sealed_name(value->node.Scalar()) : std::nullopt;
    std::optional<std::string> secret = sealed ? read_sealed_key(*value, *sealed, provider.name(), context)
                                               : read_secret(*value, context);
    if (!secret) return;
    // The Chat Completions dialect knows the Authorization header only.
    const bool token = provider.auth_type() == v1::AUTH_TYPE_AUTH_TOKEN ||
                       provider.type() == v1::PROVIDER_TYPE_OPENAI;
    v1::Credential& credential = *credentials.add_credentials();
    credential.set_ref(provider.credential_ref());
    credential.set_generation(1);
    credential.set_header_name(token ? "authorization" : "x-api-key");
    credential.set_header_value(token ? "Bearer " + *secret : *secret);
    credential.set_state(v1::Credential::OK);
}

void read_headers(const YamlValue& value, ParseContext& context, v1::Provider& provider) {
    MapReader reader(value, context.problems);
    if (reader.entries().size() > kHeadersMax) {
        context.problems.add(
            value.at, value.path, fmt::format("more than {} headers", kHeadersMax)
        );
        return;
    }
    std::vector<std::string> seen;
    for (const MapReader::Entry& entry : reader.entries()) {
        std::string name = lower(entry.key);
        if (!is_header_name(name)) {
            context.problems.add(entry.key_at, entry.value.path, "not a header name");
            continue;
        }
        if (std::find(kOwnHeaders.begin(), kOwnHeaders.end(), name) != kOwnHeaders.end()) {
            context.problems.add(
                entry.key_at, entry.value.path, "this header is written by the balancer itself"
            );
            continue;
        }
        if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
            context.problems.add(
                entry.key_at, entry.value.path, "given twice; case does not matter in a header name"
            );
            continue;
        }
        seen.push_back(name);
        std::optional<std::string> text = read_secret(entry.value, context);
        if (!text) continue;
        v1::Header& header = *provider.add_headers();
        header.set_name(name);
        header.set_value(*std::move(text));
    }
}

void read_ca_file(const YamlValue& value, ParseContext& context, v1::Provider& provider) {
    std::optional<std::string> path = as_text(value, context.problems);
    if (!path) return;
    Result<std::string> pem = read_file(context.folder / *path, kCaBytesMax);
    if (!pem) {
        context.problems.add(value.at, value.path, pem.error().text());
    } else if (!is_utf8(*pem) || !holds_certificate(*pem)) {
        context.problems.add(value.at, value.path, in_quotes(*path) + " holds no PEM certificate");
    } else {
        provider.set_ca_pem(*std::move(pem));
    }
}

}  // namespace balancer::controlplane
