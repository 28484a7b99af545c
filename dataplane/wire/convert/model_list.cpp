#include "dataplane/wire/convert/model_list.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/url/pct_string_view.hpp>
#include <charconv>
#include <ctime>
#include <sstream>

#include "base/log.hpp"
#include "dataplane/wire/convert/json_text.hpp"
#include "dataplane/wire/convert/json_walk.hpp"
#include "dataplane/wire/convert/json_write.hpp"

namespace balancer::wire::convert {
namespace {

// 9999-12-31: what is later is no date.
constexpr std::int64_t kCreatedMax = 253'402'300'799;
constexpr std::size_t kPageMax = 1000;
constexpr std::size_t kShownMax = 40;  // of a name that the client made up

// RFC 3339, of which only whole seconds in UTC are of interest; 0 for anything else.
std::int64_t unix_seconds(std::string_view text) {
    std::tm time{};
    std::istringstream in{std::string(text.substr(0, 19))};
    in >> std::get_time(&time, "%Y-%m-%dT%H:%M:%S");
    if (in.fail()) return 0;
    std::int64_t seconds = timegm(&time);
    return seconds > 0 && seconds <= kCreatedMax ? seconds : 0;
}

ListedModel read_model(JsonReader::Walk& walk, Value& value) {
    ListedModel model;
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "id") model.id = unescaped(walk.string(member));
        if (name == "display_name") model.display_name = unescaped(walk.string(member));
        if (name == "owned_by") model.owned_by = unescaped(walk.string(member));
        if (name == "created_at" && walk.kind(member) == JsonKind::kString) {
            model.created = unix_seconds(walk.string(member));
        }
        if (name == "created" && walk.kind(member) == JsonKind::kNumber) {
            std::uint64_t seconds = walk.count(member);
            model.created = seconds <= kCreatedMax ? static_cast<std::int64_t>(seconds) : 0;
        }
    });
    return model;
}

std::size_t find(std::span<const ListedModel> models, std::string_view id) {
    auto found = std::find_if(models.begin(), models.end(), [&](const ListedModel& one) { return one.id == id; });
    return static_cast<std::size_t>(found - models.begin());
}

}  // namespace

Result<std::vector<ListedModel>> read_model_list(JsonReader& reader, std::string_view body) {
    JsonReader::Walk& walk = reader.walk();
    std::vector<ListedModel> models;
    bool has_list = false;
    Result<void> read = walk.read_object_copy(body, [&](std::string_view name, Value& value) {
        if (name != "data" || walk.kind(value) != JsonKind::kArray) return;
        has_list = true;
        walk.elements(value, [&](std::size_t, Value& element) {
            ListedModel model = read_model(walk, element);
            if (!model.id.empty() && models.size() < kListedModelsMax) models.push_back(std::move(model));
        });
    });
    if (!read) return read.error();
    if (!has_list) return invalid("it has no list of models");
    return models;
}

std::optional<std::string> percent_decoded(std::string_view text) {
    auto checked = boost::urls::make_pct_string_view(boost::core::string_view(text.data(), text.size()));
    if (!checked) return std::nullopt;
    return checked->decode();
}

Result<ModelPage> read_model_page(std::string_view query) {
    ModelPage page;
    if (query.starts_with('?')) query.remove_prefix(1);
    // Not with Boost.URL 1.81's parse_query: the last value that it gives goes on behind the end of what it was given.
    while (!query.empty()) {
        std::string_view param = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(param.size() + 1, query.size()));
        std::string_view name = param.substr(0, param.find('='));
        std::optional<std::string> decoded = percent_decoded(param.substr(std::min(name.size() + 1, param.size())));
        if (!decoded) return invalid(fmt::format("{}: not well-formed", name.substr(0, kShownMax)));
        const std::string& value = *decoded;
        if (name == "after_id") page.after_id = value;
        if (name == "before_id") page.before_id = value;
        if (name != "limit") continue;
        auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), page.limit);
        bool whole = problem == std::errc() && end == value.data() + value.size();
        if (!whole) return invalid("limit: Input should be a valid integer");
        if (page.limit < 1) return invalid("limit: Input should be greater than or equal to 1");
        if (page.limit > kPageMax) return invalid(fmt::format("limit: Input should be less than or equal to {}", kPageMax));
    }
    if (!page.after_id.empty() && !page.before_id.empty()) {
        return invalid("after_id and before_id cannot be given together");
    }
    return page;
}

std::string anthropic_model(const ListedModel& model) {
    std::string out = "{\"type\":\"model\",\"id\":";
    append_json_string(out, model.id);
    out += ",\"display_name\":";
    append_json_string(out, model.display_name.empty() ? model.id : model.display_name);
    // The API's own figure for an unknown date is the epoch.
    out += fmt::format(
        ",\"created_at\":\"{:%Y-%m-%dT%H:%M:%SZ}\"}}", fmt::gmtime(static_cast<std::time_t>(model.created))
    );
    return out;
}

Result<std::string> anthropic_model_page(std::span<const ListedModel> models, const ModelPage& page) {
    std::size_t begin = 0;
    std::size_t end = models.size();
    bool backwards = !page.before_id.empty();
    const std::string& border = backwards ? page.before_id : page.after_id;
    if (!border.empty()) {
        std::size_t at = find(models, border);
        if (at == models.size()) {
            return invalid(fmt::format("{}: no such model", backwards ? "before_id" : "after_id"));
        }
        (backwards ? end : begin) = backwards ? at : at + 1;
    }
    bool has_more = end - begin > page.limit;
    if (has_more) (backwards ? begin : end) = backwards ? end - page.limit : begin + page.limit;
    std::string out = "{\"data\":[";
    for (std::size_t i = begin; i < end; ++i) {
        if (i > begin) out.push_back(',');
        out += anthropic_model(models[i]);
    }
    out += fmt::format("],\"has_more\":{},\"first_id\":", has_more);
    auto id = [&](std::size_t at) {
        if (begin == end) {
            out += "null";
        } else {
            append_json_string(out, models[at].id);
        }
    };
    id(begin);
    out += ",\"last_id\":";
    id(end - 1);
    out.push_back('}');
    return out;
}

std::string openai_model(const ListedModel& model) {
    std::string out = "{\"id\":";
    append_json_string(out, model.id);
    out += fmt::format(",\"object\":\"model\",\"created\":{},\"owned_by\":", model.created);
    append_json_string(out, model.owned_by.empty() ? "balancer" : model.owned_by);
    out.push_back('}');
    return out;
}

std::string openai_model_list(std::span<const ListedModel> models) {
    std::string out = "{\"object\":\"list\",\"data\":[";
    for (const ListedModel& model : models) {
        if (&model != models.data()) out.push_back(',');
        out += openai_model(model);
    }
    return out + "]}";
}

std::string openai_model_not_found(std::string_view id) {
    std::string out = "{\"error\":{\"message\":";
    append_json_string(out, fmt::format("The model '{}' does not exist or you do not have access to it.", id));
    return out + ",\"type\":\"invalid_request_error\",\"param\":\"model\",\"code\":\"model_not_found\"}}";
}

}  // namespace balancer::wire::convert
