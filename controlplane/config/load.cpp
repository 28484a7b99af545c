#include "controlplane/config/load.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "base/file.hpp"
#include "controlplane/config/map_reader.hpp"
#include "controlplane/config/providers.hpp"
#include "controlplane/config/routes.hpp"
#include "controlplane/config/secrets.hpp"
#include "controlplane/config/settings.hpp"
#include "model/from_proto.hpp"

namespace balancer::controlplane {
namespace {

// Compiles the result as a data plane will: what it would refuse must not be published. Disabled
// providers are compiled too, because an operator may enable them later without this file being
// read again.
void self_check(
    const LoadedConfig& loaded, const ProviderPositions& positions, ProblemList& problems
) {
    v1::ConfigSection config = loaded.config;
    for (v1::Provider& provider : *config.mutable_providers()) provider.set_enabled(true);
    ProviderSlots slots;
    Result<Compiled> compiled = compile_snapshot(v1::Version(), config, loaded.credentials, slots);
    if (!compiled) {
        problems.add({}, "", compiled.error().text());
        return;
    }
    constexpr std::string_view kPrefix = "provider/";
    for (const Quarantined& bad : compiled->quarantined) {
        auto found = positions.find(std::string_view(bad.resource).substr(kPrefix.size()));
        Position at = found == positions.end() ? Position{} : found->second.at;
        std::string path = found == positions.end() ? bad.resource : found->second.path;
        problems.add(at, join_path(path, bad.field_path), bad.message);
    }
}

void read_document(const YamlValue& root, ParseContext& context, LoadedConfig& loaded) {
    MapReader reader(root, context.problems);
    reader.allow_prefix("x-");  // a place for anchors
    const YamlValue* providers = reader.require("providers");
    const YamlValue* routes = reader.require("model_routes");
    const YamlValue* settings = reader.find("settings");
    reader.removed("auth", "it belongs under settings: settings.auth");
    reader.finish();

    const YamlValue defaults{YAML::Node(YAML::NodeType::Map), root.at, "settings"};
    ParsedSettings parsed = read_settings(settings != nullptr ? *settings : defaults, context);
    loaded.config.set_schema(1);
    *loaded.config.mutable_settings() = parsed.settings;
    loaded.oauth = parsed.oauth;
    ProviderPositions positions;
    if (providers != nullptr) {
        positions = read_providers(*providers, parsed, context, loaded.config, loaded.credentials);
    }
    if (routes != nullptr) read_routes(*routes, context, loaded.config);
    loaded.sealed = std::move(context.sealed);
    for (const auto& [provider, key] : loaded.sealed) {
        if (key.problem.empty()) continue;
        context.notices.push_back(fmt::format("provider '{}' cannot be used: {}", provider, key.problem));
    }
    if (context.problems.empty()) self_check(loaded, positions, context.problems);
}

}  // namespace

std::string to_string(const ConfigProblem& problem) {
    std::string text = problem.file;
    if (problem.line > 0) text += fmt::format(":{}:{}", problem.line, problem.column);
    if (!problem.path.empty()) text += ": " + problem.path;
    text += ": " + problem.message;
    if (!problem.suggestion.empty()) text += "; " + problem.suggestion;
    return text;
}

Environment process_environment() {
    return [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        if (value == nullptr) return std::nullopt;
        return std::string(value);
    };
}

LoadResult parse_config(
    std::string_view yaml,
    const std::filesystem::path& file,
    const Environment& environment,
    const SealedKeyLookup& sealed
) {
    ProblemList problems(file.string());
    LoadedConfig loaded;
    loaded.sha256 = to_hex(sha256(yaml));
    loaded.text = yaml;
    ParseContext context{problems, loaded.notices, environment, file.parent_path(), sealed, {}};
    try {
        std::optional<YamlValue> root = parse_document(yaml, problems);
        if (root) read_document(*root, context, loaded);
    } catch (const YAML::Exception& error) {
        // The readers look before they take; should the library still object, it must not end the
        // program.
        problems.add(position_of(error.mark), "", "cannot be read as a configuration");
    }
    if (!problems.empty()) return problems.take();
    return loaded;
}

LoadResult load_config(
    const std::filesystem::path& file, const Environment& environment, const SealedKeyLookup& sealed
) {
    Result<std::string> yaml = read_file(file, kYamlBytesMax);
    if (yaml) return parse_config(*yaml, file, environment, sealed);
    return std::vector<ConfigProblem>{
        ConfigProblem{file.string(), 0, 0, "", yaml.error().text(), ""}
    };
}

}  // namespace balancer::controlplane
