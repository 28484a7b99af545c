// Reads a YAML map key by key. What is asked for is what is known: every other key is refused at
// the end.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/config/yaml_value.hpp"

namespace balancer::controlplane {

// Lives for the reading of one map; `problems` outlives it. Not thread-safe. Anchors, aliases and
// the merge key '<<' work; a key given twice is a problem. A key without a value counts as not
// given.
class MapReader {
  public:
    struct Entry {
        std::string key;
        Position key_at;
        YamlValue value;
    };

    // A problem when `value` is not a map; the reader then acts as an empty one.
    MapReader(const YamlValue& value, ProblemList& problems);

    // Null when not given.
    const YamlValue* find(std::string_view key);

    // A problem when not given.
    const YamlValue* require(std::string_view key);

    // The typed readings take their fallback when the key is not given, or wrong (a problem).
    std::string text(std::string_view key, std::string fallback = {});
    bool boolean(std::string_view key, bool fallback);
    std::uint32_t integer(
        std::string_view key, std::uint32_t min, std::uint32_t max, std::uint32_t fallback
    );
    // Seconds in the file.
    std::uint32_t milliseconds(std::string_view key, std::uint32_t fallback);
    std::uint64_t size(
        std::string_view key, std::uint64_t min, std::uint64_t max, std::uint64_t fallback
    );
    std::vector<std::string> texts(std::string_view key, std::vector<std::string> fallback = {});

    template <class Enum, std::size_t N>
    using Choices = std::array<std::pair<std::string_view, Enum>, N>;

    template <class Enum, std::size_t N>
    Enum choice(std::string_view key, const Choices<Enum, N>& choices, Enum fallback) {
        std::vector<std::string_view> words;
        for (const auto& each : choices) words.push_back(each.first);
        std::size_t index = choose(key, words);
        return index < N ? choices[index].second : fallback;
    }

    // A key that no longer exists: a problem when given, with advice.
    void removed(std::string_view key, std::string advice);

    // Keys with this prefix are let alone.
    void allow_prefix(std::string prefix) { allowed_prefix_ = std::move(prefix); }

    // Refuses every key that was not asked for.
    void finish();

    // For maps whose keys are names. Each key once, file order.
    const std::vector<Entry>& entries() const { return entries_; }

    const std::string& path() const { return path_; }
    Position at() const { return at_; }

  private:
    // Maps that one reader follows through '<<', itself included: bounds a map that merges itself.
    static constexpr std::size_t kMapsMax = 64;

    void collect(const YAML::Node& map);
    void collect_merged(const YAML::Node& merged);
    Entry* find_entry(std::string_view key);
    std::size_t choose(std::string_view key, const std::vector<std::string_view>& words);

    std::string path_;
    Position at_;
    ProblemList& problems_;
    bool is_map_ = false;
    std::size_t maps_left_ = kMapsMax;
    std::vector<Entry> entries_;
    std::unordered_map<std::string, std::size_t> index_;  // key -> place in entries_
    std::vector<std::string_view> asked_;  // string literals of the callers
    std::vector<std::string_view> removed_;
    std::string allowed_prefix_;
};

// The longest time that a key may hold: 30 days. In uint32 milliseconds there is room for 49.
inline constexpr double kSecondsMax = 30.0 * 24 * 3600;

}  // namespace balancer::controlplane
