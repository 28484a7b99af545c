#include "controlplane/config/map_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace balancer::controlplane {
namespace {

bool contains(const std::vector<std::string_view>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

MapReader::MapReader(const YamlValue& value, ProblemList& problems)
    : path_(value.path), at_(value.at), problems_(problems), is_map_(value.node.IsMap()) {
    if (is_map_) {
        collect(value.node);
        return;
    }
    // The value itself is not shown: the map may be one of secrets.
    problems_.add(
        at_, path_, fmt::format("expected a map of keys and values, found {}", kind_of(value.node))
    );
}

void MapReader::collect(const YAML::Node& map) {
    if (maps_left_ == 0 || entries_.size() + map.size() > kItemsMax) {
        problems_.add(
            position_of(map.Mark()),
            path_,
            maps_left_ == 0 ? "merges itself, or too many maps" : "too many keys"
        );
        return;
    }
    --maps_left_;
    const std::size_t first = entries_.size();
    std::vector<YAML::Node> merged;
    for (const auto& pair : map) {
        Position key_at = position_of(pair.first.Mark());
        if (!pair.first.IsScalar()) {
            problems_.add(key_at, path_, "a key must be text");
            continue;
        }
        const std::string& key = pair.first.Scalar();
        if (key == "<<") {
            merged.push_back(pair.second);
            continue;
        }
        Entry* twin = find_entry(key);
        if (twin == nullptr) {
            // An empty value has no place of its own.
            Position at = pair.second.IsNull() ? key_at : position_of(pair.second.Mark());
            index_.emplace(key, entries_.size());
            entries_.push_back({key, key_at, YamlValue{pair.second, at, join_path(path_, key)}});
        } else if (twin >= entries_.data() + first) {
            problems_.add(
                key_at,
                twin->value.path,
                fmt::format("given twice, first in line {}", twin->key_at.line),
                "remove one of the two"
            );
        }
    }
    for (const YAML::Node& each : merged) collect_merged(each);
}

void MapReader::collect_merged(const YAML::Node& merged) {
    if (merged.IsMap()) {
        collect(merged);
        return;
    }
    bool good = merged.IsSequence() && merged.size() <= kMapsMax;
    for (std::size_t i = 0; good && i < merged.size(); ++i) good = merged[i].IsMap();
    if (!good) {
        problems_.add(
            position_of(merged.Mark()),
            join_path(path_, "<<"),
            "expected an alias of a map, or a list of them"
        );
        return;
    }
    for (const YAML::Node& each : merged) {
        if (maps_left_ > 0) collect(each);
    }
}

MapReader::Entry* MapReader::find_entry(std::string_view key) {
    auto found = index_.find(std::string(key));
    return found == index_.end() ? nullptr : &entries_[found->second];
}

const YamlValue* MapReader::find(std::string_view key) {
    if (!contains(asked_, key)) asked_.push_back(key);
    Entry* entry = find_entry(key);
    return entry == nullptr || entry->value.node.IsNull() ? nullptr : &entry->value;
}

const YamlValue* MapReader::require(std::string_view key) {
    const YamlValue* value = find(key);
    if (value != nullptr || !is_map_) return value;
    Entry* entry = find_entry(key);
    problems_.add(
        entry == nullptr ? at_ : entry->key_at,
        join_path(path_, key),
        entry == nullptr ? "required, but missing" : "required, but has no value"
    );
    return nullptr;
}

std::string MapReader::text(std::string_view key, std::string fallback) {
    const YamlValue* value = find(key);
    if (value == nullptr) return fallback;
    return as_text(*value, problems_).value_or(std::move(fallback));
}

bool MapReader::boolean(std::string_view key, bool fallback) {
    const YamlValue* value = find(key);
    return value == nullptr ? fallback : as_bool(*value, problems_).value_or(fallback);
}

std::uint32_t MapReader::integer(
    std::string_view key, std::uint32_t min, std::uint32_t max, std::uint32_t fallback
) {
    const YamlValue* value = find(key);
    if (value == nullptr) return fallback;
    return static_cast<std::uint32_t>(as_integer(*value, min, max, problems_).value_or(fallback));
}

std::uint32_t MapReader::milliseconds(std::string_view key, std::uint32_t fallback) {
    const YamlValue* value = find(key);
    if (value == nullptr) return fallback;
    return static_cast<std::uint32_t>(
        as_milliseconds(*value, 0, kSecondsMax, problems_).value_or(fallback)
    );
}

std::uint64_t MapReader::size(
    std::string_view key, std::uint64_t min, std::uint64_t max, std::uint64_t fallback
) {
    const YamlValue* value = find(key);
    return value == nullptr ? fallback : as_size(*value, min, max, problems_).value_or(fallback);
}

std::vector<std::string> MapReader::texts(std::string_view key, std::vector<std::string> fallback) {
    const YamlValue* value = find(key);
    if (value == nullptr) return fallback;
    std::vector<std::string> out;
    for (const YamlValue& item : as_list(*value, problems_)) {
        std::optional<std::string> each = as_text(item, problems_);
        if (each) out.push_back(*std::move(each));
    }
    return out;
}

std::size_t MapReader::choose(std::string_view key, const std::vector<std::string_view>& words) {
    const YamlValue* value = find(key);
    if (value == nullptr) return words.size();
    std::optional<std::string> word = as_text(*value, problems_);
    if (!word) return words.size();
    auto found = std::find(words.begin(), words.end(), *word);
    if (found == words.end()) {
        problems_.add(
            value->at,
            value->path,
            fmt::format("{} is not one of {}", in_quotes(*word), fmt::join(words, ", ")),
            did_you_mean(*word, words)
        );
    }
    return static_cast<std::size_t>(found - words.begin());
}

void MapReader::removed(std::string_view key, std::string advice) {
    removed_.push_back(key);
    Entry* entry = find_entry(key);
    if (entry == nullptr) return;
    problems_.add(entry->key_at, entry->value.path, "no longer exists", std::move(advice));
}

void MapReader::finish() {
    for (const Entry& entry : entries_) {
        if (contains(asked_, entry.key) || contains(removed_, entry.key)) continue;
        if (!allowed_prefix_.empty() && entry.key.starts_with(allowed_prefix_)) continue;
        problems_.add(
            entry.key_at, entry.value.path, "unknown key", did_you_mean(entry.key, asked_)
        );
    }
}

}  // namespace balancer::controlplane
