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

// The length of the quote that opens a value, with the backslashes before it when the text is JSON
// inside of JSON; 0: there is none.
std::size_t opening_quote(std::string_view rest) {
    std::size_t n = std::min(rest.find_first_not_of('\\'), rest.size());
    return n < rest.size() && (rest[n] == '"' || rest[n] == '\'') ? n + 1 : 0;
}

// Up to the quote that closes `opener` (one behind more backslashes is inside), or the line's end.
std::size_t quoted_length(std::string_view rest, std::string_view opener) {
    std::size_t slashes = 0;
    for (std::size_t i = 0; i < rest.size(); ++i) {
        if (rest[i] == '\n') return i;
        if (rest[i] == opener.back() && slashes < opener.size()) return i - slashes;
        slashes = rest[i] == '\\' ? slashes + 1 : 0;
    }
    return rest.size();
}

// Where the value of a `name: value`, `name=value` or `"name": "value"` begins; 0: there is none.
// `before` is the character in front of the name.
std::size_t skip_name(std::string_view rest, char before) {
    static constexpr std::array<std::string_view, 7> kNames = {
        "x-api-key", "api_key", "api-key", "auth_value", "password", "authorization", "token",
    };
    for (std::string_view name : kNames) {
        if (!starts_with_icase(rest, name)) continue;
        // `admin.token: no such file` names a file.
        if (name == "token" && (before == '.' || before == '/')) continue;
        std::size_t at = name.size();
        at += opening_quote(rest.substr(at));
        at = std::min(rest.find_first_not_of(' ', at), rest.size());
        if (at == rest.size() || (rest[at] != ':' && rest[at] != '=')) continue;
        return std::min(rest.find_first_not_of(' ', at + 1), rest.size());
    }
    return 0;
}

// What is in front of a secret and says that it is one: a name, or the Bearer scheme.
std::size_t skip_mark(std::string_view rest, char before) {
    if (starts_with_icase(rest, "bearer ")) return 7;
    return skip_name(rest, before);
}

Match match_marked(std::string_view rest, char before) {
    std::size_t at = 0;
    // One mark may follow another: the secret is what is behind the last one.
    for (std::size_t mark = skip_mark(rest, before); mark > 0; mark = skip_mark(rest.substr(at), ' ')) {
        at += mark;
        if (starts_with_icase(rest.substr(at), "basic ")) at += 6;
    }
    if (at == 0) return {};
    if (std::size_t quote = opening_quote(rest.substr(at)); quote > 0) {
        std::string_view opener = rest.substr(at, quote);
        at += quote;
        return {at, quoted_length(rest.substr(at), opener)};
    }
    std::size_t end = std::min(rest.find_first_of(" \t\r\n\"'\\,;&<>(){}[]", at), rest.size());
    return {at, end - at};
}

Match match_secret(std::string_view rest, char before) {
    if (starts_with_icase(rest, "sk-")) {
        std::size_t n = token_length(rest);
        if (n >= 8) return {0, n};
    }
    if (rest.starts_with("://")) {
        std::size_t end = rest.find_first_of("/ \"'?#", 3);
        std::size_t at = rest.substr(0, end).rfind('@');
        if (at != std::string_view::npos) return {3, at - 3};
    }
    return match_marked(rest, before);
}

}  // namespace

std::string redact(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    bool word_start = true;
    for (std::size_t at = 0; at < text.size();) {
        char c = text[at];
        char before = at > 0 ? text[at - 1] : ' ';
        Match found;
        if (word_start || c == ':') found = match_secret(text.substr(at), before);
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
