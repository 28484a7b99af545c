// Lists of models, as providers of both formats give them and as clients of both want them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "dataplane/wire/convert/json_reader.hpp"

namespace balancer::wire::convert {

struct ListedModel {
    std::string id;
    std::string display_name;   // empty: the id
    std::int64_t created = 0;   // Unix seconds; 0: unknown
    std::string owned_by;       // empty: unknown
    bool operator==(const ListedModel&) const = default;
};

// A provider's list is read up to this length; the longest known has some 500 models.
inline constexpr std::size_t kListedModelsMax = 5000;

// The answer to GET /v1/models of either format: {"data":[{"id":…},…]}. Entries without an id are passed over.
Result<std::vector<ListedModel>> read_model_list(JsonReader& reader, std::string_view body);

// %41 as A; nothing when it is malformed.
std::optional<std::string> percent_decoded(std::string_view text);

// A page of Anthropic's list.
struct ModelPage {
    std::size_t limit = 20;
    std::string after_id;   // at most one of these
    std::string before_id;
};

// From a query with its question mark (may be empty). The error is in the words of the API.
Result<ModelPage> read_model_page(std::string_view query);

// Anthropic's page. An error when after_id or before_id is not in the list.
Result<std::string> anthropic_model_page(std::span<const ListedModel> models, const ModelPage& page);
std::string openai_model_list(std::span<const ListedModel> models);

std::string anthropic_model(const ListedModel& model);
std::string openai_model(const ListedModel& model);

// OpenAI's words for a model that is not there.
std::string openai_model_not_found(std::string_view id);

}  // namespace balancer::wire::convert
