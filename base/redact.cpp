#include "base/redact.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/file.hpp"

namespace balancer {
namespace {

constexpr std::string_view kRedacted = "[redacted]";

bool is_token_char(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' ||
           c == '~' || c == '+' || c == '/' || c == '=';
}

bool starts_with_icase(std::string_view text, std::string_view prefix) {
    return text.size() >= prefix.size() &&
           std::equal(prefix.begin(), prefix.end(), text.begin(), [](char a, char b) {
               return a == std::tolower(static_cast<unsigned char>(b));
           });
}

std::size_t token_length(std::string_view text) {
    std::size_t n = 0;
    while (n < text.size() && is_token_char(text[n])) ++n;
    return n;
}

// How many bytes of `rest` (which begins at a word's start) stay visible before the secret, and how long the
// secret is; {0, 0} when there is none here.
struct Match {
    std::size_t keep = 0;
    std::size_t secret = 0;
};

Match match_named_value(std::string_view rest) {
    static constexpr std::array<std::string_view, 8> kNames = {
        "x-api-key", "api_key", "api-key", "auth_value", "password", "access_token",
        "refresh_token", "authorization",
    };
    for (std::string_view name : kNames) {
        if (!starts_with_icase(rest, name)) continue;
        std::size_t at = name.size();
        while (at < rest.size() && (rest[at] == '"' || rest[at] == '\'' || rest[at] == ' ')) ++at;
        if (at >= rest.size() || (rest[at] != ':' && rest[at] != '=')) continue;
        ++at;
        while (at < rest.size() && (rest[at] == '"' || rest[at] == '\'' || rest[at] == ' ')) ++at;
        if (starts_with_icase(rest.substr(at), "bearer ")) at += 7;
        return {at, token_length(rest.substr(at))};
    }
    return {};
}

Match match_secret(std::string_view rest) {
    if (starts_with_icase(rest, "sk-")) {
        std::size_t n = token_length(rest);
        if (n >= 8) return {0, n};
    }
    if (starts_with_icase(rest, "bearer ")) return {7, token_length(rest.substr(7))};
    if (rest.starts_with("://")) {
        std::size_t end = rest.find_first_of("/ \"'?#", 3);
        std::size_t at = rest.substr(0, end).rfind('@');
        if (at != std::string_view::npos) return {3, at - 3};
    }
    return match_named_value(rest);
}

}  // namespace

std::string redact(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    bool word_start = true;
    for (std::size_t at = 0; at < text.size();) {
        char c = text[at];
        Match found = (word_start || c == ':') ? match_secret(text.substr(at)) : Match{};
        if (found.secret > 0) {
            out.append(text.substr(at, found.keep));
            out.append(kRedacted);
            at += found.keep + found.secret;
            word_start = true;
            continue;
        }
        out.push_back(c);
        word_start = std::isalnum(static_cast<unsigned char>(c)) == 0;
        ++at;
    }
    return out;
}

std::string fingerprint(std::string_view secret) { return to_hex(sha256(secret)).substr(0, 8); }

}  // namespace balancer
