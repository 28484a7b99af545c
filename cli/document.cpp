#include "cli/document.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <string>

#include "controlplane/service/redacted_print.hpp"

namespace balancer::cli {
namespace {

using Json = nlohmann::ordered_json;

// A word that every YAML reader takes for a string without quotes.
bool is_plain(const std::string& text) {
    static constexpr std::array<std::string_view, 8> kSpecial = {
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "null",
        "y",
    };
    if (text.empty() || std::isalpha(static_cast<unsigned char>(text.front())) == 0) return false;
    if (text == "n" || text == "N" || text.back() == ':') return false;
    std::string lower = text;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (std::find(kSpecial.begin(), kSpecial.end(), lower) != kSpecial.end()) return false;
    return std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '/' || c == ':';
    });
}

void emit(YAML::Emitter& out, const Json& value) {
    if (value.is_object()) {
        out << (value.empty() ? YAML::Flow : YAML::Block) << YAML::BeginMap;
        for (const auto& [key, member] : value.items()) {
            out << YAML::Key << key << YAML::Value;
            emit(out, member);
        }
        out << YAML::EndMap;
    } else if (value.is_array()) {
        out << (value.empty() ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
        for (const Json& item : value) emit(out, item);
        out << YAML::EndSeq;
    } else if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        if (!is_plain(text)) out << YAML::DoubleQuoted;
        out << text;
    } else if (value.is_null()) {
        out << YAML::Null;
    } else {
        out << value.dump();
    }
}

}  // namespace

void print_document(const Json& document, Format format, std::ostream& out) {
    if (format == Format::kJson) {
        // Bytes that are not UTF-8 must not end the program: a script gets the replacement
        // character.
        out << document.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
        return;
    }
    YAML::Emitter yaml;
    emit(yaml, document);
    out << yaml.c_str() << '\n';
}

void print_document(const google::protobuf::Message& message, Format format, std::ostream& out) {
    print_document(to_json(message), format, out);
}

}  // namespace balancer::cli
