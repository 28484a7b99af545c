// Text of others that we log or show: always valid JSON, and without the secrets whose shape is
// known.
#include <nlohmann/json.hpp>

#include "base/check.hpp"
#include "base/log.hpp"
#include "base/redact.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

constexpr std::string_view kCanary = "CANARYcanary0123";

void check_hidden(std::string_view before, std::string_view shape, std::string_view after) {
    std::string words(before);
    words.append(shape).append(kCanary).append(after);
    BALANCER_CHECK(redact(words).find(kCanary) == std::string::npos);
}

}  // namespace

void text(std::string_view bytes) {
    std::string quoted;
    append_json_string(quoted, bytes);
    nlohmann::json parsed = nlohmann::json::parse(quoted, nullptr, false);
    BALANCER_CHECK(parsed.is_string());
    std::string again;
    append_json_string(again, parsed.get<std::string>());
    BALANCER_CHECK(again == quoted);

    if (bytes.find(kCanary) != std::string_view::npos) return;
    // Whatever stands around a secret does not bring it out. (Behind a blank: a word that only ends
    // like `sk-` is none.)
    std::size_t middle = bytes.size() / 2;
    std::string before(bytes.substr(0, middle));
    std::string after = " " + std::string(bytes.substr(middle));
    check_hidden(before, " sk-ant-", after);
    check_hidden(before, " Bearer ", after);
    check_hidden(before, " x-api-key: ", after);
    check_hidden(before, " {\"api_key\":\"", "\"" + after);
}

}  // namespace balancer::fuzz
