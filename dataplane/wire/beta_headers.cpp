#include "dataplane/wire/beta_headers.hpp"

#include <algorithm>
#include <array>

namespace balancer::wire {
namespace {

// Tokens that begin so are for this. The list is what was seen of Claude Code 1.0 to 2.1.330 and in the API's documentation;
// unknown ones belong to nothing and pass or not by the provider's list alone.
struct BetaUse {
    std::string_view begin;
    bool Capabilities::*what;
    bool has_field;  // a field of the body is refused without the token
};

// The longer of two that begin alike stands first.
constexpr std::array<BetaUse, 25> kUses = {{
    {"interleaved-thinking-", &Capabilities::thinking, false},
    {"redact-thinking-", &Capabilities::thinking, false},
    {"thinking-token-count-", &Capabilities::thinking, false},
    {"dev-full-thinking-", &Capabilities::thinking, false},
    {"thinking-display-updates-", &Capabilities::thinking_display, true},
    {"prompt-caching-scope-", &Capabilities::cache_scope, true},
    {"extended-cache-ttl-", &Capabilities::cache_ttl, true},
    {"prompt-caching-", &Capabilities::cache_control, false},
    {"context-management-", &Capabilities::context_management, true},
    {"compact-", &Capabilities::context_management, true},
    {"effort-", &Capabilities::effort, true},
    {"per-turn-control-", &Capabilities::turn_control, true},
    {"structured-outputs-", &Capabilities::structured_output, true},
    {"advanced-tool-use-", &Capabilities::advanced_tools, true},
    {"tool-search-tool-", &Capabilities::advanced_tools, true},
    {"tool-examples-", &Capabilities::advanced_tools, true},
    {"fine-grained-tool-streaming-", &Capabilities::advanced_tools, false},
    {"mid-conversation-system-", &Capabilities::system_anywhere, true},
    {"pdfs-", &Capabilities::documents, false},
    {"files-api-", &Capabilities::files, true},
    {"code-execution-", &Capabilities::server_tools, true},
    {"web-fetch-", &Capabilities::server_tools, true},
    {"mcp-client-", &Capabilities::server_tools, true},
    {"skills-", &Capabilities::server_tools, true},
    {"fast-mode-", &Capabilities::service_tier, true},
}};

const BetaUse* use_of(std::string_view token) {
    auto found = std::find_if(kUses.begin(), kUses.end(), [token](const BetaUse& use) {
        return token.starts_with(use.begin);
    });
    return found == kUses.end() ? nullptr : &*found;
}

std::string_view trimmed(std::string_view text) {
    std::size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Each token of a comma-separated list.
template <class Each>
void each_token(std::string_view list, Each&& each) {
    for (;;) {
        std::size_t comma = list.find(',');
        if (std::string_view token = trimmed(list.substr(0, comma)); !token.empty()) each(token);
        if (comma == std::string_view::npos) return;
        list.remove_prefix(comma + 1);
    }
}

bool passes_list(std::string_view token, const Provider& provider) {
    return !provider.beta_headers ||
           std::any_of(provider.beta_headers->begin(), provider.beta_headers->end(), [token](const Glob& glob) {
               return glob.matches(token);
           });
}

}  // namespace

bool takes_beta(std::string_view token, const Provider& provider) {
    const BetaUse* use = use_of(token);
    return passes_list(token, provider) && (use == nullptr || provider.capabilities.*use->what);
}

Capabilities takes_of_request(const HeaderFields& client, const Provider& provider) {
    Capabilities takes = provider.capabilities;
    if (!provider.beta_headers) return takes;
    for (const HeaderField& field : client) {
        if (!equals_lower(field.name, "anthropic-beta")) continue;
        each_token(field.value, [&](std::string_view token) {
            const BetaUse* use = use_of(token);
            if (use != nullptr && use->has_field && !passes_list(token, provider)) takes.*use->what = false;
        });
    }
    return takes;
}

std::string filter_betas(
    std::string_view value, const Provider& provider, std::vector<std::string_view>* dropped
) {
    std::string left;
    bool all = true;
    each_token(value, [&](std::string_view token) {
        if (takes_beta(token, provider)) {
            if (!left.empty()) left.push_back(',');
            left.append(token);
            return;
        }
        all = false;
        if (dropped != nullptr) dropped->push_back(token);
    });
    if (all) left = value;
    return left;
}

}  // namespace balancer::wire
