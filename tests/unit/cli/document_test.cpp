#include "cli/document.hpp"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace balancer::cli {
namespace {

std::string printed(const nlohmann::ordered_json& document, Format format) {
    std::ostringstream out;
    print_document(document, format, out);
    return out.str();
}

TEST(Document, YamlReadsBackAsTheSameStrings) {
    for (const char* text :
         {"",
          "plain",
          "true",
          "No",
          "null",
          "12",
          "1e3",
          "0x1f",
          "*glob*",
          "a: b",
          "ends:",
          "# no",
          "multi\nline",
          "\"quoted\"",
          "~",
          "y",
          "-",
          "ünï"}) {
        YAML::Node node = YAML::Load(printed({{"key", text}}, Format::kYaml));
        EXPECT_EQ(node["key"].as<std::string>(), text);
        // yaml-cpp marks a quoted scalar with "!": without the mark it must not look like another
        // type.
        if (node["key"].Tag() != "!") {
            EXPECT_TRUE(std::string(text) == "plain") << text << " is not quoted";
        }
    }
}

TEST(Document, YamlKeepsTheTree) {
    nlohmann::ordered_json document = {
        {"b", {1, 2}},
        {"a", {{"x", nullptr}, {"y", true}}},
        {"none", nlohmann::ordered_json::array()}
    };
    YAML::Node node = YAML::Load(printed(document, Format::kYaml));
    EXPECT_EQ(node.begin()->first.as<std::string>(), "b") << "order is kept";
    EXPECT_EQ(node["b"][1].as<int>(), 2);
    EXPECT_TRUE(node["a"]["x"].IsNull());
    EXPECT_TRUE(node["a"]["y"].as<bool>());
    EXPECT_EQ(node["none"].size(), 0U);
}

TEST(Document, BytesThatAreNotUtf8DoNotEndTheProgram) {
    std::string json = printed({{"key", "a\xff"}}, Format::kJson);
    EXPECT_NE(json.find("a\xEF\xBF\xBD"), std::string::npos);
    EXPECT_NE(printed({{"key", "a\xff"}}, Format::kYaml).find("key: "), std::string::npos);
}

}  // namespace
}  // namespace balancer::cli
