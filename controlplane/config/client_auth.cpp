// Which clients may use the balancer. Keys leave this file as SHA-256 only.
#include <fmt/format.h>

#include "base/file.hpp"
#include "controlplane/config/settings.hpp"

namespace balancer::controlplane {
namespace {

const std::vector<std::string>& default_exempt_paths() {
    static const std::vector<std::string> kPaths = {"/health", "/docs", "/redoc", "/openapi.json"};
    return kPaths;
}

void add_key(
    std::string name, const YamlValue& value, v1::ClientAuth& auth, ParseContext& context
) {
    std::optional<std::string> key = read_secret(value, context);
    if (!key) return;
    std::string digest = sha256(*key);
    for (const v1::ClientKey& other : auth.keys()) {
        if (other.name() == name) {
            context.problems.add(value.at, value.path, "a second key is named " + in_quotes(name));
            return;
        }
        if (other.sha256() == digest) {
            context.problems.add(
                value.at, value.path, "the same key as the one named " + in_quotes(other.name())
            );
            return;
        }
    }
    v1::ClientKey& added = *auth.add_keys();
    added.set_name(std::move(name));
    added.set_sha256(digest);
}

// An empty key is none, as in the original; whether one is needed is decided when all have been
// read.
void add_default_key(const YamlValue* value, v1::ClientAuth& auth, ParseContext& context) {
    if (value == nullptr || (value->node.IsScalar() && value->node.Scalar().empty())) return;
    add_key("default", *value, auth, context);
}

void read_named_keys(const YamlValue& value, v1::ClientAuth& auth, ParseContext& context) {
    for (const YamlValue& item : as_list(value, context.problems)) {
        MapReader reader(item, context.problems);
        const YamlValue* name = reader.require("name");
        const YamlValue* key = reader.require("key");
        reader.finish();
        std::optional<std::string> text;
        if (name != nullptr) text = as_text(*name, context.problems);
        if (!text || key == nullptr) continue;
        if (text->empty()) {
            context.problems.add(name->at, name->path, "must not be empty");
            continue;
        }
        add_key(*std::move(text), *key, auth, context);
    }
}

// A path that is not absolute would never be asked for.
void read_exempt_paths(MapReader& reader, std::string_view key, v1::ClientAuth& auth, ParseContext& context) {
    const YamlValue* value = reader.find(key);
    if (value == nullptr) {
        for (const std::string& path : default_exempt_paths()) auth.add_exempt_paths(path);
        return;
    }
    for (const YamlValue& item : as_list(*value, context.problems)) {
        std::optional<std::string> path = as_text(item, context.problems);
        if (!path) continue;
        if (path->starts_with('/')) {
            auth.add_exempt_paths(*std::move(path));
            continue;
        }
        context.problems.add(
            item.at, item.path, fmt::format("{} is no path: it must begin with '/'", in_quotes(*path)), "/" + *path
        );
    }
}

// `problems_before`: a key that could not be read has its own problem already.
void require_a_key(
    const YamlValue* enabled,
    const v1::ClientAuth& auth,
    std::size_t problems_before,
    ParseContext& context
) {
    if (!auth.enabled() || !auth.keys().empty()) return;
    if (context.problems.size() != problems_before) return;
    context.problems.add(
        enabled->at,
        enabled->path,
        "enabled without a key: every client would be refused",
        "give settings.auth.api_key or settings.auth.api_keys"
    );
}

v1::ClientAuth read_map(const YamlValue& value, ParseContext& context) {
    const std::size_t problems_before = context.problems.size();
    v1::ClientAuth auth;
    MapReader reader(value, context.problems);
    auth.set_enabled(reader.boolean("enabled", false));
    add_default_key(reader.find("api_key"), auth, context);
    if (const YamlValue* keys = reader.find("api_keys"); keys != nullptr) {
        read_named_keys(*keys, auth, context);
    }
    read_exempt_paths(reader, "exempt_paths", auth, context);
    require_a_key(reader.find("enabled"), auth, problems_before, context);
    reader.finish();
    return auth;
}

v1::ClientAuth read_scalars(MapReader& settings, ParseContext& context) {
    const std::size_t problems_before = context.problems.size();
    v1::ClientAuth auth;
    auth.set_enabled(settings.boolean("auth_enabled", false));
    add_default_key(settings.find("auth_api_key"), auth, context);
    read_exempt_paths(settings, "auth_exempt_paths", auth, context);
    require_a_key(settings.find("auth_enabled"), auth, problems_before, context);
    return auth;
}

}  // namespace

v1::ClientAuth read_client_auth(MapReader& settings, ParseContext& context) {
    const YamlValue* map = settings.find("auth");
    // An empty map counts as none, as in the original.
    if (map != nullptr && map->node.IsMap() && map->node.size() == 0) map = nullptr;
    for (std::string_view key : {"auth_enabled", "auth_api_key", "auth_exempt_paths"}) {
        const YamlValue* scalar = settings.find(key);
        if (map == nullptr || scalar == nullptr) continue;
        context.notices.push_back(
            fmt::format("{} is not used, because settings.auth is given", scalar->path)
        );
    }
    return map != nullptr ? read_map(*map, context) : read_scalars(settings, context);
}

}  // namespace balancer::controlplane
