#include "controlplane/config/routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "controlplane/config/find_provider.hpp"
#include "controlplane/config/map_reader.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::string_view kPassthrough = "passthrough";

void check_provider(
    const YamlValue& value,
    const std::string& name,
    const v1::ConfigSection& config,
    ParseContext& context
) {
    if (find_provider(config, name) != nullptr) return;
    std::vector<std::string_view> names;
    for (const v1::Provider& provider : config.providers()) names.push_back(provider.name());
    context.problems.add(
        value.at,
        value.path,
        fmt::format("there is no provider named {}", in_quotes(name)),
        did_you_mean(name, names)
    );
}

void read_target(
    const YamlValue& value, const v1::ConfigSection& config, ParseContext& context, v1::Route& route
) {
    MapReader reader(value, context.problems);
    v1::RouteTarget& target = *route.add_targets();
    if (const YamlValue* name = reader.require("provider"); name != nullptr) {
        std::optional<std::string> text = as_text(*name, context.problems);
        if (text) check_provider(*name, *text, config, context);
        target.set_provider(text.value_or(""));
    }
    if (const YamlValue* model = reader.require("model"); model != nullptr) {
        std::optional<std::string> text = as_text(*model, context.problems);
        if (text && text->empty()) {
            context.problems.add(
                model->at, model->path, "must not be empty", "'passthrough' keeps the client's name"
            );
        }
        if (text && *text != kPassthrough) target.set_model(*std::move(text));
    }
    if (const YamlValue* priority = reader.require("priority"); priority != nullptr) {
        using Limits = std::numeric_limits<std::int32_t>;
        target.set_priority(static_cast<std::int32_t>(
            as_integer(*priority, Limits::min(), Limits::max(), context.problems).value_or(0)
        ));
    }
    target.set_enabled(reader.boolean("enabled", true));
    reader.removed("weight", "a weight belongs to a provider: providers[].weight");
    reader.finish();
}

// What a glob matches does not depend on case or on how many stars stand together.
std::string glob_identity(std::string_view pattern) {
    std::string out;
    for (char c : pattern) {
        if (c == '*' && out.ends_with('*')) continue;
        out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
    }
    return out;
}

void advise(
    const v1::Route& route,
    const std::string& path,
    const v1::ConfigSection& config,
    ParseContext& context
) {
    bool looks_like_regex = route.pattern().find_first_of("^$()[]{}|+?\\") != std::string::npos ||
                            route.pattern().find(".*") != std::string::npos;
    if (looks_like_regex) {
        context.notices.push_back(
            fmt::format("{}: only * is a wildcard, every other character stands for itself", path)
        );
    }
    bool any = std::any_of(
        route.targets().begin(),
        route.targets().end(),
        [&](const v1::RouteTarget& target) {
            const v1::Provider* provider = find_provider(config, target.provider());
            return target.enabled() && provider != nullptr && provider->enabled();
        }
    );
    if (!any) {
        context.notices.push_back(
            fmt::format("{} has no enabled target with an enabled provider", path)
        );
    }
}

}  // namespace

void read_routes(const YamlValue& value, ParseContext& context, v1::ConfigSection& config) {
    MapReader reader(value, context.problems);
    if (value.node.IsMap() && value.node.size() == 0) {
        context.problems.add(value.at, value.path, "at least one route is needed");
    }
    std::map<std::string, Position> globs;
    std::size_t targets = 0;
    for (const MapReader::Entry& entry : reader.entries()) {
        if (entry.key.empty()) {
            context.problems.add(entry.key_at, entry.value.path, "a pattern must not be empty");
            continue;
        }
        if (entry.key.find('*') != std::string::npos) {
            auto [twin, added] = globs.try_emplace(glob_identity(entry.key), entry.key_at);
            if (!added) {
                context.problems.add(
                    entry.key_at,
                    entry.value.path,
                    fmt::format(
                        "matches the same names as the pattern in line {}", twin->second.line
                    )
                );
                continue;
            }
        }
        v1::Route& route = *config.add_routes();
        route.set_pattern(entry.key);
        std::vector<YamlValue> items = as_list(entry.value, context.problems);
        targets += items.size();
        if (targets > kItemsMax) {
            context.problems.add(
                entry.key_at, value.path, fmt::format("more than {} targets together", kItemsMax)
            );
            return;
        }
        for (const YamlValue& item : items) read_target(item, config, context, route);
        advise(route, entry.value.path, config, context);
    }
}

}  // namespace balancer::controlplane
