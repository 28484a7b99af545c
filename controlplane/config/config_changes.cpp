#include "controlplane/config/config_changes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "controlplane/config/problem_list.hpp"

namespace balancer::controlplane {
namespace {

using Items = std::vector<std::pair<std::string, const YamlTree*>>;

Items items_of(const YamlTree& root) {
    Items items;
    if (const YamlTree* providers = root.find("providers"); providers != nullptr) {
        for (const YamlTree& provider : providers->items) {
            const YamlTree* name = provider.find("name");
            items.emplace_back(
                "provider " + in_quotes(name != nullptr ? name->text : std::string()), &provider
            );
        }
    }
    if (const YamlTree* routes = root.find("model_routes"); routes != nullptr) {
        for (const auto& [pattern, targets] : routes->entries) {
            items.emplace_back("route " + in_quotes(pattern), &targets);
        }
    }
    if (const YamlTree* settings = root.find("settings"); settings != nullptr) {
        for (const auto& [key, value] : settings->entries) {
            items.emplace_back("settings." + key, &value);
        }
    }
    return items;
}

const YamlTree* find_item(const Items& items, const std::string& label) {
    auto found = std::find_if(items.begin(), items.end(), [&](const auto& item) {
        return item.first == label;
    });
    return found == items.end() ? nullptr : found->second;
}

// Inside an item the order of keys means nothing.
bool same(const YamlTree& a, const YamlTree& b) {
    if (a.kind != YamlTree::Kind::kMap || b.kind != YamlTree::Kind::kMap) {
        if (a.kind != b.kind || a.kind != YamlTree::Kind::kList) return a == b;
        return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), same);
    }
    if (a.entries.size() != b.entries.size()) return false;
    return std::all_of(a.entries.begin(), a.entries.end(), [&](const YamlEntry& entry) {
        const YamlTree* other = b.find(entry.key);
        return other != nullptr && same(entry.value, *other);
    });
}

bool equal(const YamlTree* a, const YamlTree* b) {
    if (a == nullptr || b == nullptr) return a == b;
    return same(*a, *b);
}

// Providers and routes that both have, in another order: what is tried first may be another one.
bool other_order(const Items& before, const Items& after, std::string_view kind) {
    auto common = [&](const Items& mine, const Items& others) {
        std::vector<std::string> labels;
        for (const auto& [label, tree] : mine) {
            if (!label.starts_with(kind) || find_item(others, label) == nullptr) continue;
            labels.push_back(label);
        }
        return labels;
    };
    return common(before, after) != common(after, before);
}

std::vector<std::string> changed_keys(const YamlTree& from, const YamlTree& to) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : from.entries) {
        if (!equal(&value, to.find(key))) keys.push_back(key);
    }
    for (const auto& [key, value] : to.entries) {
        if (from.find(key) == nullptr) keys.push_back(key);
    }
    return keys;
}

}  // namespace

std::vector<ConfigChange> changes_between(const YamlTree& from, const YamlTree& to) {
    std::vector<ConfigChange> changes;
    Items before = items_of(from);
    Items after = items_of(to);
    for (const auto& [label, tree] : after) {
        const YamlTree* old = find_item(before, label);
        if (old == nullptr) {
            changes.push_back({label, ConfigChange::Kind::kAdded, {}});
        } else if (!same(*old, *tree)) {
            changes.push_back({label, ConfigChange::Kind::kChanged, changed_keys(*old, *tree)});
        }
    }
    for (const auto& [label, tree] : before) {
        if (find_item(after, label) != nullptr) continue;
        changes.push_back({label, ConfigChange::Kind::kRemoved, {}});
    }
    for (const char* kind : {"provider", "route"}) {
        if (!other_order(before, after, kind)) continue;
        changes.push_back(
            {std::string("the order of the ") + kind + 's', ConfigChange::Kind::kChanged, {}}
        );
    }
    return changes;
}

std::string to_string(const ConfigChange& change) {
    switch (change.kind) {
        case ConfigChange::Kind::kAdded:
            return change.item + " added";
        case ConfigChange::Kind::kRemoved:
            return change.item + " removed";
        case ConfigChange::Kind::kChanged:
            break;
    }
    if (change.keys.empty()) return change.item + " changed";
    return fmt::format("{} changed ({})", change.item, fmt::join(change.keys, ", "));
}

std::string to_summary(const std::vector<ConfigChange>& changes, std::size_t changes_max) {
    std::string text;
    for (std::size_t i = 0; i < std::min(changes.size(), changes_max); ++i) {
        if (i > 0) text += "; ";
        text += to_string(changes[i]);
    }
    if (changes.size() > changes_max) {
        text += fmt::format("; and {} more", changes.size() - changes_max);
    }
    return text;
}

std::vector<ConfigChange> lost_changes(
    const YamlTree& base, const YamlTree& edited, const YamlTree& now
) {
    std::vector<ConfigChange> lost = changes_between(base, edited);
    Items wanted = items_of(edited);
    Items have = items_of(now);
    // Lost or not, an order alone is seen in the diff.
    std::erase_if(lost, [&](const ConfigChange& change) {
        return equal(find_item(wanted, change.item), find_item(have, change.item));
    });
    return lost;
}

}  // namespace balancer::controlplane
