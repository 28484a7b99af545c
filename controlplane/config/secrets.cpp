#include "controlplane/config/secrets.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.hpp"
#include "controlplane/config/sealed_key.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::string_view kFilePrefix = "file:";
constexpr std::size_t kSecretBytesMax = 64 << 10;

bool is_variable_name(std::string_view name) {
    auto is_letter = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    };
    return !name.empty() && is_letter(name[0]) &&
           std::all_of(name.begin(), name.end(), [&](char c) {
               return is_letter(c) || (c >= '0' && c <= '9');
           });
}

Result<std::string> expand(std::string_view text, const Environment& environment) {
    std::string out;
    while (!text.empty()) {
        if (text.starts_with("$${")) {
            out += "${";
            text.remove_prefix(3);
            continue;
        }
        if (!text.starts_with("${")) {
            out.push_back(text[0]);
            text.remove_prefix(1);
            continue;
        }
        std::size_t close = text.find('}');
        // What stands there may be part of a secret, so it is not repeated.
        if (close == std::string_view::npos || !is_variable_name(text.substr(2, close - 2))) {
            return invalid(
                "'${' must be followed by the name of a variable and '}'; write $${ for a literal "
                "${"
            );
        }
        std::string name(text.substr(2, close - 2));
        std::optional<std::string> value = environment(name);
        if (!value) return invalid(fmt::format("the environment variable {} is not set", name));
        out += *value;
        text.remove_prefix(close + 1);
    }
    return out;
}

}  // namespace

Result<std::string> resolve_secret(std::string_view text, const ParseContext& context) {
    if (sealed_name(text)) {
        return invalid(
            "'sealed:' is for auth_value of a provider; other secrets come from ${NAME} or file:PATH"
        );
    }
    if (!text.starts_with(kFilePrefix)) return expand(text, context.environment);
    Result<std::string> path = expand(text.substr(kFilePrefix.size()), context.environment);
    if (!path) return path;
    if (path->empty()) return invalid("'file:' must be followed by a path");
    Result<std::string> content = read_file(context.folder / *path, kSecretBytesMax);
    if (!content) return content;
    content->resize(content->find_last_not_of("\r\n") + 1);
    return content;
}

const char* flaw_of_secret(std::string_view secret) {
    if (secret.empty()) return "must not be empty";
    if (!is_utf8(secret)) return "holds bytes that are not UTF-8";
    bool control = std::any_of(secret.begin(), secret.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
    return control ? "holds a line break or another control character" : nullptr;
}

std::optional<std::string> read_secret(const YamlValue& value, ParseContext& context) {
    std::optional<std::string> text = as_text(value, context.problems);
    if (!text) return std::nullopt;
    Result<std::string> secret = resolve_secret(*text, context);
    if (!secret) {
        context.problems.add(value.at, value.path, secret.error().text());
    } else if (const char* flaw = flaw_of_secret(*secret)) {
        context.problems.add(value.at, value.path, flaw);
    } else {
        return *std::move(secret);
    }
    return std::nullopt;
}

}  // namespace balancer::controlplane
