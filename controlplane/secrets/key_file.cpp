#include "controlplane/secrets/key_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/bytes.hpp"
#include "base/file.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::string_view kBlank = " \t\r";

constexpr std::string_view kIntroduction =
    "# Keys of the sealed store (balancerctl keys list). Keep a copy, apart from that of the database:\n"
    "# without them the secrets in it are lost, and with both anybody can read them.\n";

// Up to the first blank; what is left begins behind it and the blanks after it.
std::string_view take_word(std::string_view& line) {
    std::size_t end = std::min(line.find_first_of(kBlank), line.size());
    std::string_view word = line.substr(0, end);
    line.remove_prefix(end);
    line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
    return word;
}

std::optional<SealingKey> key_of(std::string_view hex) {
    if (hex.size() != 2 * kAeadKeyBytes) return std::nullopt;
    std::optional<std::string> raw = from_hex(hex);
    if (!raw) return std::nullopt;
    std::optional<SealingKey> key(SealingKey{*raw});
    wipe(*raw);
    return key;
}

// What lines have told so far.
struct Parsed {
    SealingKeys keys;
    std::optional<bool> named;  // whether lines have state and id; all alike
    bool has_active = false;

    // Nothing: good. Else what is wrong with the line.
    const char* take(std::string_view line) {
        std::array<std::string_view, 3> words{};
        std::size_t count = 0;
        while (!line.empty()) {
            if (count == words.size()) return "has more than three words";
            words[count++] = take_word(line);
        }
        if (count == 2) return "is neither a key nor a state, an id and a key";
        const bool is_named = count == 3;
        if (named.value_or(is_named) != is_named) return "is written in another way than the lines before it";
        named = is_named;
        std::optional<SealingKey> key = key_of(words[count - 1]);
        if (!key) return "has no key of 64 lower-case hexadecimal digits";
        bool active = keys.empty();
        if (is_named) {
            if (words[0] != "active" && words[0] != "old") return "says neither 'active' nor 'old'";
            if (words[1] != to_hex(key->id())) return "has an id that is not its key's: it is damaged";
            active = words[0] == "active";
            if (active && has_active) return "is a second active key";
        }
        for (const SealingKey& other : keys) {
            if (other.id() == key->id()) return "repeats a key";
        }
        if (keys.size() == kSealingKeysMax) return "is one key too many";
        has_active = has_active || active;
        keys.insert(active ? keys.begin() : keys.end(), *std::move(key));
        return nullptr;
    }
};

}  // namespace

Result<SealingKeys> parse_keys(std::string_view text) {
    if (text.size() > kKeyTextBytesMax) {
        return invalid(fmt::format("it is larger than {} bytes", kKeyTextBytesMax));
    }
    Parsed parsed;
    for (std::size_t number = 1; !text.empty(); ++number) {
        std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.starts_with('#')) continue;
        while (!line.empty()) {
            std::size_t comma = std::min(line.find(','), line.size());
            std::string_view item = line.substr(0, comma);
            line.remove_prefix(std::min(comma + 1, line.size()));
            item.remove_prefix(std::min(item.find_first_not_of(kBlank), item.size()));
            if (item.empty()) continue;
            if (const char* problem = parsed.take(item)) {
                return invalid(fmt::format("line {} {}", number, problem));
            }
        }
    }
    if (parsed.keys.empty()) return invalid("it holds no key");
    if (!parsed.has_active) return invalid("none of its keys is active");
    return std::move(parsed.keys);
}

SecretBytes print_keys(const SealingKeys& keys) {
    std::string text(kIntroduction);
    text.reserve(text.size() + keys.size() * 100);  // no copy of a key is left behind by growth
    for (const SealingKey& key : keys) {
        text += &key == &keys.front() ? "active " : "old ";
        text += to_hex(key.id());
        text += ' ';
        std::string hex = to_hex(key.raw());
        text += hex;
        text += '\n';
        wipe(hex);
    }
    SecretBytes bytes(text);
    wipe(text);
    return bytes;
}

}  // namespace balancer::controlplane
