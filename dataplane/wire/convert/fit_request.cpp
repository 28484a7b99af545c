#include "dataplane/wire/convert/fit_request.hpp"

#include <fmt/format.h>

#include <charconv>

#include "dataplane/wire/convert/fit_content.hpp"

namespace balancer::wire::convert {
namespace {

// The least that the API takes for a budget.
constexpr std::uint64_t kBudgetMin = 1024;

std::uint64_t number_of(std::string_view text) {
    std::uint64_t number = 0;
    auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    return problem == std::errc() && end == text.data() + text.size() ? number : 0;
}

// The members of the body itself.
class RequestFitter {
  public:
    RequestFitter(JsonReader::Walk& walk, std::string_view body, const Capabilities& takes, Pin pin, FittedRequest& out)
        : walk_(walk), takes_(takes), pin_(pin), out_(out), content_(walk, body, takes, out) {}

    Result<void> fit(std::string_view body);

  private:
    bool fit_member(std::string_view name, Value& value);
    bool fit_setting(std::string_view name, Value& value);
    bool fit_thinking(Value& value);
    bool fit_output_config(Value& value);
    void fit_tool_choice(Value& value);
    void refuse_server_side(std::string_view name, Value& value);
    bool fit_limits();

    JsonReader::Walk& walk_;
    const Capabilities& takes_;
    const Pin pin_;
    FittedRequest& out_;
    ContentFitter content_;
    std::string_view max_tokens_;
    std::string_view budget_tokens_;
};

bool RequestFitter::fit_thinking(Value& value) {
    if (!takes_.thinking) return content_.drop(value, "thinking", false);
    if (walk_.kind(value) != JsonKind::kObject) return content_.skip(value);
    cut_elements(
        content_.members(
            value,
            [&](std::string_view name, Value& member) {
                if (name == "display") return content_.drop(member, "thinking.display", takes_.thinking_display);
                std::string_view text = walk_.raw(member);
                if (name == "budget_tokens") budget_tokens_ = text;
                return false;
            }
        ),
        out_.edits
    );
    return false;
}

bool RequestFitter::fit_output_config(Value& value) {
    if (walk_.kind(value) != JsonKind::kObject) return content_.skip(value);
    std::vector<Element> members = content_.members(value, [&](std::string_view name, Value& member) {
        if (name == "effort") return content_.drop(member, "output_config.effort", takes_.effort);
        if (name == "format") return content_.drop(member, "output_config.format", takes_.structured_output);
        return content_.skip(member);
    });
    if (all_are_cut(members)) return true;
    cut_elements(members, out_.edits);
    return false;
}

void RequestFitter::fit_tool_choice(Value& value) {
    if (walk_.kind(value) != JsonKind::kObject) return void(content_.skip(value));
    cut_elements(
        content_.members(
            value,
            [&](std::string_view name, Value& member) {
                bool takes = name != "disable_parallel_tool_use" || takes_.parallel_tools;
                return content_.drop(member, name, takes);
            }
        ),
        out_.edits
    );
}

void RequestFitter::refuse_server_side(std::string_view name, Value& value) {
    std::string_view raw = walk_.raw(value);
    bool given = raw != "null" && raw != "[]" && !walk_.failed();
    if (given && !takes_.server_tools) {
        content_.refuse(Place{nullptr, name, 0}, "this provider runs no tools and reaches no servers");
    }
}

// Whether the member goes.
bool RequestFitter::fit_setting(std::string_view name, Value& value) {
    if (name == "context_management") {
        // Its edits of thinking are refused without thinking.
        return content_.drop(value, name, takes_.context_management && takes_.thinking);
    }
    if (name == "cache_control") return content_.drop(value, name, takes_.cache_control);
    if (name == "output_format") return content_.drop(value, name, takes_.structured_output);
    if (name == "temperature" || name == "top_p") return content_.drop(value, name, takes_.sampling);
    if (name == "top_k") return content_.drop(value, name, takes_.top_k);
    if (name == "service_tier" || name == "speed" || name == "inference_geo") {
        return content_.drop(value, name, takes_.service_tier);
    }
    std::string_view text = walk_.raw(value);
    if (name == "max_tokens") max_tokens_ = text;
    return name == "provider" && pin_ == Pin::kCut;
}

bool RequestFitter::fit_member(std::string_view name, Value& value) {
    if (name == "thinking") return fit_thinking(value);
    if (name == "output_config") return fit_output_config(value);
    if (name == "messages") {
        content_.fit_messages(value);
    } else if (name == "system") {
        cut_elements(content_.fit_content(value, Place{nullptr, name, 0}), out_.edits);
    } else if (name == "tools") {
        content_.fit_tools(value);
    } else if (name == "tool_choice") {
        fit_tool_choice(value);
    } else if (name == "mcp_servers" || name == "container") {
        refuse_server_side(name, value);
    } else {
        return fit_setting(name, value);
    }
    return false;
}

// A budget has to stay below the limit: half of it is left for the answer. False when the least budget does not fit.
bool RequestFitter::fit_limits() {
    std::uint64_t limit = takes_.output_tokens_max;
    if (limit == 0 || max_tokens_.empty() || number_of(max_tokens_) <= limit) return true;
    out_.notes.add("max_tokens", "lowered to the provider's limit");
    content_.replace(max_tokens_, std::to_string(limit));
    if (budget_tokens_.empty() || number_of(budget_tokens_) < limit) return true;
    if (limit <= kBudgetMin) return false;
    content_.replace(budget_tokens_, std::to_string(std::max(kBudgetMin, limit / 2)));
    out_.notes.add("thinking.budget_tokens", "lowered with max_tokens");
    return true;
}

Result<void> RequestFitter::fit(std::string_view body) {
    std::vector<Element> members;
    Result<void> read = walk_.read_object(body, [&](std::string_view name, Value& value) {
        members.push_back(content_.member_of(name, value, [this](std::string_view key, Value& member) {
            return fit_member(key, member);
        }));
    });
    if (!read) return read;
    if (!fit_limits()) {
        out_.notes.add("thinking", "off, max_tokens leaves no room for it");
        for (Element& member : members) {
            // As for a provider that takes no thinking.
            if (member.kind == "thinking" || member.kind == "context_management") member.cut = true;
        }
    }
    cut_elements(members, out_.edits);
    return {};
}

}  // namespace

Result<FittedRequest> fit_request(JsonReader& reader, std::string_view body, const Capabilities& takes, Pin pin) {
    FittedRequest fitted;
    Result<void> done = RequestFitter(reader.walk(), body, takes, pin, fitted).fit(body);
    if (!done) return done.error();
    return fitted;
}

}  // namespace balancer::wire::convert
