#include "controlplane/config/providers.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <array>

#include "base/file.hpp"
#include "controlplane/config/oauth.hpp"
#include "controlplane/config/provider_parts.hpp"
#include "controlplane/oauth/account_book.hpp"
#include "model/provider_slots.hpp"
#include "model/url.hpp"

namespace balancer::controlplane {
namespace {

void read_type(MapReader& reader, v1::Provider& provider) {
    static constexpr MapReader::Choices<v1::ProviderType, 2> kTypes = {{
        {"anthropic", v1::PROVIDER_TYPE_ANTHROPIC},
        {"openai", v1::PROVIDER_TYPE_OPENAI},
    }};
    reader.require("type");
    provider.set_type(reader.choice("type", kTypes, v1::PROVIDER_TYPE_UNSPECIFIED));
}

void read_base_url(MapReader& reader, v1::Provider& provider, ParseContext& context) {
    const YamlValue* value = reader.require("base_url");
    if (value == nullptr) return;
    std::optional<std::string> url = as_text(*value, context.problems);
    if (!url) return;
    while (url->ends_with('/')) url->pop_back();
    Result<Endpoint> endpoint = parse_base_url(*url);
    if (!endpoint) {
        // A person may have written a password into it: what in_quotes() makes of the text is
        // shown, not the text.
        context.problems.add(
            value->at,
            value->path,
            fmt::format("{} cannot be used as a base URL", in_quotes(*url)),
            "write it like https://api.anthropic.com, with http or https, and without user, query "
            "or fragment"
        );
        return;
    }
    provider.set_base_url(*url);
    bool has_version = url->ends_with("/v1") || url->ends_with("/v1/messages");
    if (provider.type() == v1::PROVIDER_TYPE_ANTHROPIC && has_version) {
        context.notices.push_back(fmt::format(
            "{} ends in a part of the path that requests bring along (/v1/messages is added to it)",
            value->path
        ));
    }
}

void read_proxy(MapReader& reader, v1::Provider& provider, ParseContext& context) {
    const YamlValue* value = reader.find("proxy");
    // An empty text means no proxy, as in the original.
    if (value == nullptr || (value->node.IsScalar() && value->node.Scalar().empty())) return;
    std::optional<std::string> url = read_secret(*value, context);
    if (!url) return;
    Result<ProxySpec> proxy = parse_proxy_url(*url);
    if (proxy) {
        provider.set_proxy_url(*std::move(url));
    } else {
        context.problems.add(value->at, value->path, proxy.error().text());
    }
}

void read_timeouts(
    MapReader& reader, const ParsedSettings& settings, v1::Provider& provider, ParseContext& context
) {
    *provider.mutable_streaming_timeouts() = settings.streaming;
    *provider.mutable_non_streaming_timeouts() = settings.non_streaming;
    const YamlValue* value = reader.find("timeouts");
    if (value == nullptr) return;
    MapReader times(*value, context.problems);
    using Setter = void (v1::Timeouts::*)(std::uint32_t);
    static constexpr std::array<std::pair<std::string_view, Setter>, 4> kFields = {{
        {"connect", &v1::Timeouts::set_connect_ms},
        {"first_byte", &v1::Timeouts::set_first_byte_ms},
        {"idle", &v1::Timeouts::set_idle_ms},
        {"total", &v1::Timeouts::set_total_ms},
    }};
    for (const auto& [key, set] : kFields) {
        if (times.find(key) == nullptr) continue;
        std::uint32_t ms = times.milliseconds(key, 0);
        (provider.mutable_streaming_timeouts()->*set)(ms);
        (provider.mutable_non_streaming_timeouts()->*set)(ms);
    }
    times.finish();
}

void read_streaming_mode(MapReader& reader, v1::Provider& provider) {
    static constexpr MapReader::Choices<v1::StreamingMode, 3> kModes = {{
        {"auto", v1::STREAMING_MODE_AUTO},
        {"direct", v1::STREAMING_MODE_DIRECT},
        {"background", v1::STREAMING_MODE_BACKGROUND},
    }};
    provider.set_streaming_mode(reader.choice("streaming_mode", kModes, v1::STREAMING_MODE_AUTO));
    // An answer is held in the buffer that it is read into, which takes 8 MiB.
    provider.set_background_bytes(reader.size("background_bytes", 1 << 10, 4 << 20, 256 << 10));
}

// The name; nullopt after a problem. It is sent in a response header and named in logs.
std::optional<std::string> read_name(MapReader& reader, ParseContext& context) {
    const YamlValue* value = reader.require("name");
    if (value == nullptr) return std::nullopt;
    std::optional<std::string> name = as_text(*value, context.problems);
    if (!name) return std::nullopt;
    bool printable = std::none_of(name->begin(), name->end(), [](unsigned char c) {
        return c < 0x20 || c == 0x7F;
    });
    if (!name->empty() && printable && name->size() <= 128) return name;
    context.problems.add(
        value->at, value->path, "a name has 1 to 128 bytes and no control characters"
    );
    return std::nullopt;
}

void read_rest(
    MapReader& reader,
    const ParsedSettings& settings,
    ParseContext& context,
    v1::Provider& provider,
    v1::CredentialSection& credentials
) {
    read_type(reader, provider);
    read_base_url(reader, provider, context);
    read_credential(reader, context, provider, credentials);
    provider.set_enabled(reader.boolean("enabled", true));
    read_proxy(reader, provider, context);
    read_streaming_mode(reader, provider);
    provider.set_weight(reader.integer("weight", 1, 1000, 0));
    read_timeouts(reader, settings, provider, context);
    if (const YamlValue* headers = reader.find("headers"); headers != nullptr) {
        read_headers(*headers, context, provider);
    }
    read_capabilities(reader, provider, context);
    read_signatures(reader, provider, context);
    provider.set_max_concurrency(reader.integer("max_concurrency", 0, 1'000'000, 0));
    if (const YamlValue* ca_file = reader.find("ca_file"); ca_file != nullptr) {
        read_ca_file(*ca_file, context, provider);
    }
    read_accounts(reader, provider, context);
    advise_on_oauth(provider, reader.path(), context);
    if (const YamlValue* priority = reader.find("priority"); priority != nullptr) {
        context.notices.push_back(
            fmt::format("{} is not used: priorities stand in model_routes", priority->path)
        );
    }
    reader.removed("big_model", "give model names in model_routes");
    reader.removed("small_model", "give model names in model_routes");
    reader.finish();
}

// A provider with accounts is published as NAME/ACCOUNT, once for each account.
void check_account_names(
    const v1::ConfigSection& config, const ProviderPositions& positions, ParseContext& context
) {
    std::size_t published = 0;
    for (const v1::Provider& provider : config.providers()) {
        bool has_accounts = provider.auth_type() == v1::AUTH_TYPE_OAUTH;
        std::size_t named = static_cast<std::size_t>(provider.accounts_size());
        published += !has_accounts ? 1 : named == 0 ? AccountBook::kAccountsMax : named;
        if (!has_accounts) continue;
        const std::string prefix = provider.name() + "/";
        for (auto at = positions.lower_bound(prefix); at != positions.end() && at->first.starts_with(prefix); ++at) {
            context.problems.add(
                at->second.at,
                join_path(at->second.path, "name"),
                fmt::format(
                    "{} would be the name of an account of {}", in_quotes(at->first), in_quotes(provider.name())
                ),
                "give it another name"
            );
        }
    }
    if (published < kProviderSlotsMax || positions.empty()) return;
    const YamlValue& first = positions.begin()->second;
    context.problems.add(
        first.at,
        "providers",
        fmt::format("more than {} providers, with each account of each counted", kProviderSlotsMax - 1),
        fmt::format("name their accounts; one that names none counts as {}", AccountBook::kAccountsMax)
    );
}

}  // namespace

ProviderPositions read_providers(
    const YamlValue& value,
    const ParsedSettings& settings,
    ParseContext& context,
    v1::ConfigSection& config,
    v1::CredentialSection& credentials
) {
    ProviderPositions positions;
    std::vector<YamlValue> items = as_list(value, context.problems);
    if (items.empty() && value.node.IsSequence() && value.node.size() == 0) {
        context.problems.add(value.at, value.path, "at least one provider is needed");
    }
    if (items.size() >= kProviderSlotsMax) {
        context.problems.add(
            value.at, value.path, fmt::format("more than {} providers", kProviderSlotsMax - 1)
        );
        return positions;
    }
    bool any_enabled = false;
    for (const YamlValue& item : items) {
        MapReader reader(item, context.problems);
        std::optional<std::string> name = read_name(reader, context);
        v1::Provider provider;
        v1::CredentialSection own;
        provider.set_name(name.value_or(""));
        read_rest(reader, settings, context, provider, own);
        any_enabled = any_enabled || provider.enabled();
        if (!name) continue;
        auto [twin, added] = positions.try_emplace(*name, item);
        if (!added) {
            context.problems.add(
                reader.find("name")->at,
                join_path(item.path, "name"),
                fmt::format(
                    "a second provider named {}, the first is in line {}",
                    in_quotes(*name),
                    twin->second.at.line
                ),
                "give each provider a name of its own"
            );
            continue;
        }
        provider.set_etag(etag_of(provider, own));
        credentials.MergeFrom(own);
        *config.add_providers() = std::move(provider);
    }
    check_account_names(config, positions, context);
    if (!items.empty() && !any_enabled) {
        context.problems.add(value.at, value.path, "no provider is enabled");
    }
    return positions;
}

std::string etag_of(const v1::Provider& provider, const v1::CredentialSection& credentials) {
    v1::Provider plain = provider;
    plain.clear_etag();
    // How long, how often, whether: none of these changes who answers, and so none voids what is known of it.
    plain.clear_enabled();
    plain.clear_weight();
    plain.clear_max_concurrency();
    plain.clear_streaming_mode();
    plain.clear_background_bytes();
    plain.clear_streaming_timeouts();
    plain.clear_non_streaming_timeouts();
    plain.clear_capabilities();
    plain.clear_signatures();
    plain.clear_accounts();
    std::string bytes;
    {
        google::protobuf::io::StringOutputStream stream(&bytes);
        google::protobuf::io::CodedOutputStream out(&stream);
        out.SetSerializationDeterministic(true);
        plain.SerializeToCodedStream(&out);
    }
    for (const v1::Credential& credential : credentials.credentials()) {
        if (credential.ref() == plain.credential_ref() && !credential.ref().empty()) {
            bytes += sha256(credential.header_value());
        }
    }
    return to_hex(sha256(bytes)).substr(0, 16);
}

}  // namespace balancer::controlplane
