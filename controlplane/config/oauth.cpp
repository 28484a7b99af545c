#include "controlplane/config/oauth.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "controlplane/config/provider_parts.hpp"
#include "controlplane/oauth/account.hpp"
#include "controlplane/oauth/login_url.hpp"
#include "controlplane/oauth/token_endpoint.hpp"
#include "model/url.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::string_view kAnthropicHost = "api.anthropic.com";

// https, or http on this machine: what goes there are secrets.
void read_url(MapReader& reader, std::string_view key, std::string& url, ParseContext& context) {
    const YamlValue* value = reader.find(key);
    url = reader.text(key, url);
    if (value == nullptr) return;
    Result<HttpRequest> parsed = request_to(url);
    if (!parsed) {
        context.problems.add(
            value->at, value->path, in_quotes(url) + " cannot be used: " + parsed.error().text(), "write it like https://example.com/path"
        );
    } else if (!parsed->tls && !is_loopback_uri(url)) {
        context.problems.add(
            value->at, value->path, "tokens would cross the network in clear", "https, or http on 127.0.0.1, [::1] or localhost"
        );
    }
}

std::string required_text(MapReader& reader, std::string_view key, std::string fallback, ParseContext& context) {
    std::string text = reader.text(key, std::move(fallback));
    const YamlValue* value = reader.find(key);
    if (text.empty() && value != nullptr) context.problems.add(value->at, value->path, "it is empty");
    return text;
}

}  // namespace

OAuthSettings read_oauth(const YamlValue& value, ParseContext& context) {
    OAuthSettings out;
    MapReader reader(value, context.problems);
    out.persist = reader.boolean("enable_persistence", out.persist);
    out.auto_refresh = reader.boolean("enable_auto_refresh", out.auto_refresh);
    out.allow_other_clients = reader.boolean("allow_other_clients", out.allow_other_clients);
    out.service_name = required_text(reader, "service_name", out.service_name, context);
    read_url(reader, "authorize_url", out.authorize_url, context);
    read_url(reader, "token_url", out.token_url, context);
    read_url(reader, "redirect_uri", out.redirect_uri, context);
    out.client_id = required_text(reader, "client_id", out.client_id, context);
    out.scope = required_text(reader, "scope", out.scope, context);
    out.timeout = Milliseconds(reader.milliseconds("timeout", static_cast<std::uint32_t>(out.timeout.count())));
    if (out.timeout.count() == 0) out.timeout = OAuthSettings().timeout;
    const YamlValue* proxy = reader.find("proxy");
    // An empty text means no proxy, as with providers.
    if (proxy != nullptr && !(proxy->node.IsScalar() && proxy->node.Scalar().empty())) {
        if (std::optional<std::string> url = read_secret(*proxy, context)) {
            Result<ProxySpec> spec = parse_proxy_url(*url);
            if (spec) {
                out.proxy = *std::move(spec);
            } else {
                context.problems.add(proxy->at, proxy->path, spec.error().text());
            }
        }
    }
    if (const YamlValue* ca_file = reader.find("ca_file"); ca_file != nullptr) {
        v1::Provider holder;
        read_ca_file(*ca_file, context, holder);
        out.ca_pem = holder.ca_pem();
    }
    reader.finish();
    return out;
}

void read_accounts(MapReader& provider_reader, v1::Provider& provider, ParseContext& context) {
    const YamlValue* value = provider_reader.find("accounts");
    if (value == nullptr) return;
    if (provider.auth_type() != v1::AUTH_TYPE_OAUTH) {
        context.problems.add(value->at, value->path, "only a provider with auth_type: oauth has accounts");
        return;
    }
    for (const YamlValue& item : as_list(*value, context.problems)) {
        std::optional<std::string> name = as_text(item, context.problems);
        if (!name) continue;
        if (!is_account_name(*name)) {
            context.problems.add(item.at, item.path, kAccountNameRule);
        } else if (std::find(provider.accounts().begin(), provider.accounts().end(), *name) != provider.accounts().end()) {
            context.problems.add(item.at, item.path, in_quotes(*name) + " stands there twice");
        } else {
            provider.add_accounts(*std::move(name));
        }
    }
}

void advise_on_oauth(const v1::Provider& provider, const std::string& path, ParseContext& context) {
    if (provider.auth_type() != v1::AUTH_TYPE_OAUTH) return;
    Result<Endpoint> endpoint = parse_base_url(provider.base_url());
    bool anthropic = endpoint && endpoint->tls && endpoint->host == kAnthropicHost && endpoint->port == 443;
    if (!endpoint || anthropic) return;
    context.notices.push_back(fmt::format(
        "{}: access tokens of your accounts go to {}, which is not https://{}{}",
        path,
        endpoint->authority,
        kAnthropicHost,
        endpoint->tls ? "" : ", and unencrypted"
    ));
}

}  // namespace balancer::controlplane
