#include "controlplane/config/edits.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "controlplane/config/problem_list.hpp"

namespace balancer::controlplane {
namespace {

const YamlPath kProviders = {"providers"};
const YamlPath kRoutes = {"model_routes"};

YamlPath inside(YamlPath path, YamlStep step) {
    path.push_back(std::move(step));
    return path;
}

std::string text_under(const YamlTree& map, std::string_view key) {
    const YamlTree* value = map.find(key);
    if (value == nullptr) value = map.find_merged(key);
    return value == nullptr ? std::string() : value->text;
}

const std::vector<YamlTree>& providers_of(const YamlEdit& edit) {
    static const std::vector<YamlTree> kNone;
    const YamlTree* list = edit.tree().find("providers");
    return list == nullptr ? kNone : list->items;
}

std::vector<std::string> provider_names(const YamlEdit& edit) {
    std::vector<std::string> names;
    for (const YamlTree& provider : providers_of(edit)) {
        names.push_back(text_under(provider, "name"));
    }
    return names;
}

std::optional<std::size_t> provider_index(const YamlEdit& edit, const std::string& name) {
    const std::vector<YamlTree>& all = providers_of(edit);
    auto found = std::find_if(all.begin(), all.end(), [&](const YamlTree& provider) {
        return text_under(provider, "name") == name;
    });
    if (found == all.end()) return std::nullopt;
    return static_cast<std::size_t>(found - all.begin());
}

std::vector<std::string> route_patterns(const YamlEdit& edit) {
    std::vector<std::string> patterns;
    const YamlTree* routes = edit.tree().find("model_routes");
    if (routes == nullptr) return patterns;
    for (const auto& [pattern, targets] : routes->entries) patterns.push_back(pattern);
    return patterns;
}

// Patterns of the routes that name this provider.
std::vector<std::string> routes_naming(const YamlEdit& edit, const std::string& provider) {
    std::vector<std::string> patterns;
    const YamlTree* routes = edit.tree().find("model_routes");
    if (routes == nullptr) return patterns;
    for (const auto& [pattern, targets] : routes->entries) {
        bool named =
            std::any_of(targets.items.begin(), targets.items.end(), [&](const auto& target) {
                return text_under(target, "provider") == provider;
            });
        if (named) patterns.push_back(pattern);
    }
    return patterns;
}

std::string quoted_list(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        if (!text.empty()) text += ", ";
        text += in_quotes(name);
    }
    return text;
}

// An edit writes into the map itself: it cannot take out what a merge brings, and would hide it by
// whatever it added.
Error from_merge(std::string_view what) {
    return invalid(fmt::format("{} comes from a merge ('<<'): edit the file", what));
}

YamlTree target_map(const TargetKeys& keys) {
    YamlTree map;
    map.kind = YamlTree::Kind::kMap;
    map.entries.emplace_back("provider", text_scalar(keys.provider));
    map.entries.emplace_back("model", text_scalar(keys.model.value_or("passthrough")));
    map.entries.emplace_back("priority", plain_scalar(std::to_string(keys.priority.value_or(1))));
    if (keys.enabled) {
        map.entries.emplace_back("enabled", plain_scalar(*keys.enabled ? "true" : "false"));
    }
    return map;
}

Result<void> add_target(YamlEdit& edit, const TargetKeys& keys) {
    if (!keys.priority) {
        return invalid(fmt::format(
            "route {} has no target with provider {} yet: a new one needs a priority",
            in_quotes(keys.pattern),
            in_quotes(keys.provider)
        ));
    }
    const YamlTree* routes = edit.tree().find("model_routes");
    if (routes->find(keys.pattern) != nullptr) {
        edit.append_item(inside(kRoutes, keys.pattern), target_map(keys));
        return {};
    }
    YamlTree list;
    list.kind = YamlTree::Kind::kList;
    list.items.push_back(target_map(keys));
    edit.add_list(kRoutes, keys.pattern, std::move(list));
    return {};
}

}  // namespace

Result<void> add_provider(YamlEdit& edit, const std::string& name, const ProviderKeys& keys) {
    if (provider_index(edit, name)) {
        return invalid(fmt::format(
            "there is a provider {} already: change it with `providers update`", in_quotes(name)
        ));
    }
    const YamlTree* list = edit.tree().find("providers");
    if (list == nullptr || list->kind != YamlTree::Kind::kList) {
        return invalid("providers is not written as a list of its own: edit the file");
    }
    YamlTree provider;
    provider.kind = YamlTree::Kind::kMap;
    provider.entries.emplace_back("name", text_scalar(name));
    for (const auto& [key, value] : keys) {
        if (value) provider.entries.emplace_back(key, *value);
    }
    edit.append_item(kProviders, std::move(provider));
    return {};
}

Result<void> update_provider(YamlEdit& edit, const std::string& name, const ProviderKeys& keys) {
    std::optional<std::size_t> index = provider_index(edit, name);
    if (!index) return unknown_name("provider", name, provider_names(edit));
    YamlPath path = inside(kProviders, *index);
    for (const auto& [key, value] : keys) {
        if (value || providers_of(edit)[*index].find_merged(key) == nullptr) continue;
        return from_merge(fmt::format("{} of provider {}", key, in_quotes(name)));
    }
    for (const auto& [key, value] : keys) {
        if (value) {
            edit.set_key(path, key, *value);
        } else {
            edit.remove_key(path, key);
        }
    }
    return {};
}

Result<std::vector<std::string>> remove_provider(
    YamlEdit& edit, const std::string& name, bool with_routes
) {
    std::optional<std::size_t> index = provider_index(edit, name);
    if (!index) return unknown_name("provider", name, provider_names(edit));
    if (providers_of(edit).size() == 1) {
        return invalid(fmt::format(
            "{} is the only provider: without it nobody could answer; add another one first",
            in_quotes(name)
        ));
    }
    std::vector<std::string> words;
    std::vector<std::string> patterns = routes_naming(edit, name);
    if (!patterns.empty() && !with_routes) {
        return invalid(fmt::format(
            "{} is named by route{} {}: take it out of {} first, or use --with-routes",
            in_quotes(name),
            patterns.size() == 1 ? "" : "s",
            quoted_list(patterns),
            patterns.size() == 1 ? "it" : "them"
        ));
    }
    for (const std::string& pattern : patterns) {
        const YamlTree& targets = *edit.tree().find("model_routes")->find(pattern);
        bool others =
            std::any_of(targets.items.begin(), targets.items.end(), [&](const auto& each) {
                return text_under(each, "provider") != name;
            });
        Result<void> removed = remove_target(edit, pattern, others ? name : std::string());
        if (!removed) return removed.error();
        words.push_back(
            others
                ? fmt::format("it was taken out of route {}", in_quotes(pattern))
                : fmt::format("route {} had no other provider and was removed", in_quotes(pattern))
        );
    }
    edit.remove_item(kProviders, *index);
    return words;
}

Result<void> set_target(YamlEdit& edit, const TargetKeys& keys) {
    if (!provider_index(edit, keys.provider)) {
        return unknown_name("provider", keys.provider, provider_names(edit));
    }
    const YamlTree* routes = edit.tree().find("model_routes");
    if (routes == nullptr || routes->kind != YamlTree::Kind::kMap) {
        return invalid("model_routes is not written as a map of its own: edit the file");
    }
    const YamlTree* targets = routes->find(keys.pattern);
    if (targets == nullptr && routes->find_merged(keys.pattern) != nullptr) {
        return from_merge("route " + in_quotes(keys.pattern));
    }
    std::size_t index = 0;
    if (targets != nullptr) {
        while (index < targets->items.size() &&
               text_under(targets->items[index], "provider") != keys.provider) {
            ++index;
        }
    }
    if (targets == nullptr || index == targets->items.size()) return add_target(edit, keys);
    YamlPath path = inside(inside(kRoutes, keys.pattern), index);
    if (keys.model) edit.set_key(path, "model", text_scalar(*keys.model));
    if (keys.priority) {
        edit.set_key(path, "priority", plain_scalar(std::to_string(*keys.priority)));
    }
    if (keys.enabled) {
        edit.set_key(path, "enabled", plain_scalar(*keys.enabled ? "true" : "false"));
    }
    return {};
}

Result<void> remove_target(
    YamlEdit& edit, const std::string& pattern, const std::string& provider
) {
    const YamlTree* routes = edit.tree().find("model_routes");
    const YamlTree* targets = routes == nullptr ? nullptr : routes->find(pattern);
    // Behind a route that is taken out, a merged one of the same pattern would come to light.
    if (routes != nullptr && (targets == nullptr || provider.empty()) &&
        routes->find_merged(pattern) != nullptr) {
        return from_merge("route " + in_quotes(pattern));
    }
    if (targets == nullptr) return unknown_name("route", pattern, route_patterns(edit));
    if (provider.empty()) {
        edit.remove_key(kRoutes, pattern);
        return {};
    }
    std::vector<std::size_t> mine;
    std::vector<std::string> known;
    for (std::size_t i = 0; i < targets->items.size(); ++i) {
        std::string name = text_under(targets->items[i], "provider");
        if (name == provider) mine.push_back(i);
        known.push_back(std::move(name));
    }
    if (mine.empty()) {
        return unknown_name(
            "target in route " + in_quotes(pattern) + " with provider", provider, known
        );
    }
    if (mine.size() == targets->items.size()) {
        return invalid(fmt::format(
            "route {} has no other provider: remove the whole route instead (without {})",
            in_quotes(pattern),
            in_quotes(provider)
        ));
    }
    // From the end, so that the places of those before stay.
    for (auto index = mine.rbegin(); index != mine.rend(); ++index) {
        edit.remove_item(inside(kRoutes, pattern), *index);
    }
    return {};
}

bool is_unknown_name(const Error& error) {
    return error.code == boost::system::errc::no_such_device_or_address;
}

Error unknown_name(
    std::string_view kind, std::string_view name, const std::vector<std::string>& known
) {
    std::vector<std::string_view> candidates(known.begin(), known.end());
    std::string hint = did_you_mean(name, candidates);
    return Error{
        make_error_code(boost::system::errc::no_such_device_or_address),
        fmt::format(
            "there is no {} '{}'; there are: {}{}",
            kind,
            name,
            fmt::join(known, ", "),
            hint.empty() ? "" : "; " + hint
        ),
    };
}

}  // namespace balancer::controlplane
