#include "controlplane/oauth/expand_accounts.hpp"

#include <fmt/format.h>

#include <map>
#include <string>

#include "base/file.hpp"

namespace balancer::controlplane {
namespace {

std::vector<std::string> names_of(const v1::Provider& provider, const std::vector<const Account*>& accounts) {
    std::vector<std::string> names(provider.accounts().begin(), provider.accounts().end());
    if (!names.empty()) return names;
    for (const Account* account : accounts) names.push_back(account->name);
    return names;
}

std::uint64_t trust_of(const std::string& name, const std::vector<const Account*>& accounts) {
    for (const Account* account : accounts) {
        if (account->name == name) return account->trust;
    }
    return 0;
}

v1::Provider for_account(
    const v1::Provider& provider, const std::string& account, std::uint64_t trust, bool claude_code_only
) {
    v1::Provider out = provider;
    out.clear_accounts();
    out.set_name(fmt::format("{}/{}", provider.name(), account));
    out.set_group(provider.name());
    out.set_account(account);
    out.set_claude_code_only(claude_code_only);
    out.set_credential_ref("oauth/" + account);
    // What was known of the account before a new login says nothing about it now.
    out.set_etag(to_hex(sha256(fmt::format("{} {} {}", provider.etag(), trust, account))).substr(0, 16));
    return out;
}

}  // namespace

v1::ConfigSection expand_accounts(
    const v1::ConfigSection& config, const std::vector<const Account*>& accounts, bool claude_code_only
) {
    std::map<std::string, std::vector<std::string>> groups;
    v1::ConfigSection out;
    out.set_schema(config.schema());
    *out.mutable_settings() = config.settings();
    for (const v1::Provider& provider : config.providers()) {
        if (provider.auth_type() != v1::AUTH_TYPE_OAUTH) {
            *out.add_providers() = provider;
            continue;
        }
        std::vector<std::string> names = names_of(provider, accounts);
        if (names.empty()) {
            *out.add_providers() = provider;
            continue;
        }
        for (const std::string& name : names) {
            v1::Provider each = for_account(provider, name, trust_of(name, accounts), claude_code_only);
            groups[provider.name()].push_back(each.name());
            *out.add_providers() = std::move(each);
        }
    }
    for (const v1::Route& route : config.routes()) {
        v1::Route& copy = *out.add_routes();
        copy.set_pattern(route.pattern());
        for (const v1::RouteTarget& target : route.targets()) {
            auto group = groups.find(target.provider());
            if (group == groups.end()) {
                *copy.add_targets() = target;
                continue;
            }
            for (const std::string& name : group->second) {
                v1::RouteTarget& each = *copy.add_targets();
                each = target;
                each.set_provider(name);
            }
        }
    }
    return out;
}

}  // namespace balancer::controlplane
