// What the configuration tests share: a small good file, an environment, and a folder that goes
// away.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "controlplane/config/load.hpp"

namespace balancer::controlplane {

class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "config-test.XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
        path_ = name;
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

inline void write(const std::filesystem::path& path, const std::string& content) {
    std::ofstream(path, std::ios::trunc) << content;
}

inline Environment environment_of(std::map<std::string, std::string> values) {
    return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
        auto found = values.find(name);
        if (found == values.end()) return std::nullopt;
        return found->second;
    };
}

inline std::string minimal(
    const std::string& provider_extra = "", const std::string& settings = ""
) {
    return "providers:\n"
           "  - name: a\n"
           "    type: anthropic\n"
           "    base_url: https://a.example\n"
           "    auth_type: api_key\n"
           "    auth_value: key-of-a\n" +
           provider_extra +
           "model_routes:\n"
           "  \"*\":\n"
           "    - {provider: a, model: passthrough, priority: 1}\n" +
           settings;
}

inline LoadResult parse(
    const std::string& yaml, std::map<std::string, std::string> environment = {}
) {
    return parse_config(yaml, "config.yaml", environment_of(std::move(environment)));
}

inline std::string all_of(const std::vector<ConfigProblem>& problems) {
    std::string text;
    for (const ConfigProblem& problem : problems) text += to_string(problem) + "\n";
    return text;
}

// Fails the test when there are problems.
inline LoadedConfig good(const LoadResult& result) {
    if (const auto* loaded = std::get_if<LoadedConfig>(&result)) return *loaded;
    ADD_FAILURE() << all_of(std::get<std::vector<ConfigProblem>>(result));
    return {};
}

// Fails the test when there are none.
inline std::vector<ConfigProblem> bad(const LoadResult& result) {
    if (const auto* problems = std::get_if<std::vector<ConfigProblem>>(&result)) return *problems;
    ADD_FAILURE() << "loaded without a problem";
    return {};
}

}  // namespace balancer::controlplane
