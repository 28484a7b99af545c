#include "controlplane/config/sealed_key.hpp"

#include <algorithm>

#include "base/file.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::string_view kPrefix = "sealed:";
constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kProviderBytesMax = 64;  // of the provider's name in the record's

bool is_plain(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

}  // namespace

std::optional<std::string> sealed_name(std::string_view text) {
    if (!text.starts_with(kPrefix)) return std::nullopt;
    return std::string(text.substr(kPrefix.size()));
}

std::string sealed_reference(std::string_view name) {
    return std::string(kPrefix) + std::string(name);
}

bool is_sealed_name(std::string_view name) {
    return !name.empty() && name.size() <= kNameBytesMax && std::all_of(name.begin(), name.end(), is_plain);
}

std::string make_sealed_name(std::string_view provider) {
    std::string name(provider.substr(0, kProviderBytesMax));
    for (char& c : name) c = is_plain(c) ? c : '_';
    return name + '.' + random_hex(4);
}

std::optional<std::string> literal_secret(std::string_view auth_value) {
    if (auth_value.empty() || auth_value == "passthrough" || auth_value.starts_with("file:") ||
        auth_value.starts_with(kPrefix)) {
        return std::nullopt;
    }
    std::string literal;
    while (!auth_value.empty()) {
        if (auth_value.starts_with("${")) return std::nullopt;
        if (auth_value.starts_with("$${")) {
            literal += "${";
            auth_value.remove_prefix(3);
            continue;
        }
        literal.push_back(auth_value.front());
        auth_value.remove_prefix(1);
    }
    return literal;
}

}  // namespace balancer::controlplane
