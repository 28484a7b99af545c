// Providers' lists of models and clients' queries: whatever they say, what goes to the client is JSON with the same ids.
#include "dataplane/wire/convert/model_list.hpp"

#include <nlohmann/json.hpp>

#include "base/check.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {

using namespace wire::convert;

void model_list(std::string_view bytes) {
    static JsonReader reader;
    // A query in front of the list, as one line.
    std::size_t line = std::min(bytes.find('\n'), bytes.size());
    Result<ModelPage> page = read_model_page(bytes.substr(0, line));
    if (page) BALANCER_CHECK(page->limit >= 1 && page->limit <= 1000);
    Result<std::vector<ListedModel>> models = read_model_list(reader, bytes.substr(std::min(line + 1, bytes.size())));
    if (!models) return;
    auto openai = nlohmann::json::parse(openai_model_list(*models), nullptr, false);
    BALANCER_CHECK(openai.is_object() && openai["data"].size() == models->size());
    Result<std::string> text = anthropic_model_page(*models, page ? *page : ModelPage{});
    if (!text) return;
    auto anthropic = nlohmann::json::parse(*text, nullptr, false);
    BALANCER_CHECK(anthropic.is_object() && anthropic["data"].size() <= models->size());
    for (const auto& model : anthropic["data"]) BALANCER_CHECK(model["created_at"].get<std::string>().size() == 20);
}

Target model_list_target() {
    return {
        "model_list",
        model_list,
        {
            "?limit=2&after_id=a%2Fb\n"
            R"({"data":[{"type":"model","id":"a/b","display_name":"A","created_at":"2025-09-29T00:00:00.5Z"},{"id":"c"}],"has_more":false})",
            "\n"
            R"({"object":"list","data":[{"id":"gpt-4o","created":1715367049,"owned_by":"system","x":{"y":[1]}},{"id":7},{}]})",
            "?before_id=x&limit=1000\n{\"data\":[]}",
        },
        {"?", "&", "=", "%", "%00", "limit=", "after_id=", "before_id=", R"("id":"a",)", R"("created":99999999999999,)",
         R"("created_at":"9999-12-31T23:59:59Z",)", R"("created_at":"1969-12-31T23:59:59Z",)", R"(\ud800)", "[", "]", "{", "}"},
    };
}

}  // namespace balancer::fuzz
