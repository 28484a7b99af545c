#include "dataplane/wire/convert/request_to_openai.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "dataplane/wire/convert/anthropic_request.hpp"
#include "dataplane/wire/convert/json_text.hpp"
#include "dataplane/wire/convert/json_write.hpp"
#include "dataplane/wire/convert/openai_messages.hpp"
#include "dataplane/wire/convert/strict_schema.hpp"

namespace balancer::wire::convert {
namespace {

constexpr std::size_t kStopSequencesMax = 4;
constexpr std::size_t kUserBytesMax = 64;
// Thinking budgets up to these ask for little, and for some.
constexpr std::uint64_t kLowBudget = 4096;
constexpr std::uint64_t kMediumBudget = 16384;

bool is_own_tool(const AnthropicTool& tool) {
    return tool.type.empty() || tool.type == "custom";
}

// The search over deferred tools is the provider's; here its tools are simply all there.
bool is_tool_search(const AnthropicTool& tool) {
    return tool.type.starts_with("tool_search_tool");
}

// The tools that the conversation has been told of by reference, or has called.
void collect_references(const Content& content, std::unordered_set<std::string_view>& names) {
    for (const Block& block : content.blocks) {
        if (block.type == "tool_reference") names.insert(block.tool_name);
        if (block.type == "tool_use") names.insert(block.name);
        if (block.type == "tool_result") collect_references(block.content, names);
    }
}

class RequestWriter {
  public:
    RequestWriter(
        JsonReader& reader,
        const AnthropicRequest& request,
        const ToOpenaiOptions& options,
        std::string& out
    )
        : reader_(reader),
          request_(request),
          options_(options),
          takes_(options.capabilities),
          out_(out) {}

    Result<RequestConversion> write();

  private:
    Result<void> write_tools();
    void write_tool(const AnthropicTool& tool);
    void write_tool_choice();
    void write_limits();
    void write_sampling();
    void write_effort();
    void write_format();
    bool may_be_strict(std::string_view field, std::string_view schema);
    void write_user();
    void note_rest();

    JsonReader& reader_;  // for schemas: the request has been read
    const AnthropicRequest& request_;
    const ToOpenaiOptions& options_;
    const Capabilities& takes_;
    std::string& out_;
    RequestConversion done_;
};

Result<RequestConversion> RequestWriter::write() {
    if (request_.has_mcp_servers) {
        return not_capable(
            "mcp_servers: this provider cannot reach MCP servers; use a provider of type anthropic"
        );
    }
    out_.push_back('{');
    text_member(out_, "model", options_.model);
    OpenaiMessages messages(request_, takes_, done_, out_);
    if (Result<void> written = messages.write(); !written) return written.error();
    if (Result<void> written = write_tools(); !written) return written.error();
    write_limits();
    write_sampling();
    write_effort();
    write_format();
    write_user();
    if (options_.stream) {
        raw_member(out_, "stream", "true");
        if (takes_.stream_usage) raw_member(out_, "stream_options", "{\"include_usage\":true}");
    }
    note_rest();
    out_.push_back('}');
    return std::move(done_);
}

Result<void> RequestWriter::write_tools() {
    if (request_.tools.empty()) return {};
    if (!takes_.tools) return not_capable("tools: this provider takes no tools");
    bool search = false;
    for (std::size_t i = 0; i < request_.tools.size(); ++i) {
        const AnthropicTool& tool = request_.tools[i];
        search = search || is_tool_search(tool);
        if (is_own_tool(tool) || is_tool_search(tool)) continue;
        return not_capable(fmt::format(
            "tools.{}: \"{}\" is a tool of Anthropic's own, which a provider of type openai does "
            "not have",
            i,
            tool.type
        ));
    }
    std::unordered_set<std::string_view> referenced = {request_.tool_choice_name};
    for (const AnthropicTurn& turn : request_.messages)
        collect_references(turn.content, referenced);
    std::size_t begin = out_.size();
    open_member(out_, "tools");
    out_.push_back('[');
    for (const AnthropicTool& tool : request_.tools) {
        if (is_tool_search(tool)) {
            done_.notes.add("tool search", "dropped, every deferred tool is sent");
        } else if (tool.defer_loading && !search && !referenced.contains(tool.name)) {
            done_.notes.add("deferred tools", "held back until they are referred to");
        } else {
            write_tool(tool);
        }
    }
    if (out_.back() == '[') {
        out_.resize(begin);
        return {};
    }
    out_.push_back(']');
    write_tool_choice();
    return {};
}

void RequestWriter::write_tool(const AnthropicTool& tool) {
    separate(out_);
    out_.append("{\"type\":\"function\",\"function\":{");
    inside_member(out_, "name", done_.tool_names.to_openai(tool.name));
    inside_member(out_, "description", tool.description);
    append_schema(out_, "parameters", tool.input_schema);
    bool strict = tool.strict == "true" && may_be_strict("tools.strict", tool.input_schema.raw);
    if (strict || tool.strict == "false") raw_member(out_, "strict", tool.strict);
    out_.append("}}");
}

void RequestWriter::write_tool_choice() {
    std::string_view choice = request_.tool_choice;
    if (choice == "auto" || choice == "none") {
        inside_member(out_, "tool_choice", choice);
    } else if (choice == "any") {
        inside_member(out_, "tool_choice", "required");
    } else if (choice == "tool") {
        open_member(out_, "tool_choice");
        out_.append("{\"type\":\"function\",\"function\":{");
        inside_member(out_, "name", done_.tool_names.to_openai(request_.tool_choice_name));
        out_.append("}}");
    } else if (!choice.empty()) {
        done_.notes.add("tool_choice", "of an unknown type, left to the provider");
    }
    if (!request_.disable_parallel_tool_use) return;
    if (takes_.parallel_tools) {
        raw_member(out_, "parallel_tool_calls", "false");
    } else {
        done_.notes.add("disable_parallel_tool_use");
    }
}

void RequestWriter::write_limits() {
    std::string tokens(request_.max_tokens);
    std::uint64_t asked = 0;
    auto [end, problem] = std::from_chars(tokens.data(), tokens.data() + tokens.size(), asked);
    bool whole = problem == std::errc() && end == tokens.data() + tokens.size();
    if (takes_.output_tokens_max != 0 && (!whole || asked > takes_.output_tokens_max)) {
        if (!tokens.empty()) done_.notes.add("max_tokens", "lowered to the provider's limit");
        tokens = std::to_string(takes_.output_tokens_max);
    }
    if (!tokens.empty()) {
        raw_member(
            out_, takes_.max_completion_tokens ? "max_completion_tokens" : "max_tokens", tokens
        );
    }
    if (request_.stop_sequences.empty()) return;
    if (request_.stop_sequences.size() > kStopSequencesMax)
        done_.notes.add("stop_sequences", "cut to four");
    open_member(out_, "stop");
    out_.push_back('[');
    for (std::size_t i = 0; i < std::min(request_.stop_sequences.size(), kStopSequencesMax); ++i) {
        separate(out_);
        out_.append(request_.stop_sequences[i]);
    }
    out_.push_back(']');
}

void RequestWriter::write_sampling() {
    auto write = [this](std::string_view name, std::string_view value, bool takes) {
        if (value.empty()) return;
        if (takes) {
            raw_member(out_, name, value);
        } else {
            done_.notes.add(name);
        }
    };
    write("temperature", request_.temperature, takes_.sampling);
    write("top_p", request_.top_p, takes_.sampling);
    write("top_k", request_.top_k, takes_.top_k);
}

void RequestWriter::write_effort() {
    bool thinks = request_.thinking == "enabled" || request_.thinking == "adaptive";
    if (!takes_.reasoning_effort) {
        if (thinks) done_.notes.add("thinking");
        if (!request_.effort.empty()) done_.notes.add("output_config.effort");
        return;
    }
    if (request_.thinking == "disabled") return;
    std::string_view effort = request_.effort;
    if (effort.empty() && request_.thinking == "enabled") {
        effort = request_.thinking_budget <= kLowBudget      ? "low"
                 : request_.thinking_budget <= kMediumBudget ? "medium"
                                                             : "high";
    }
    if (effort == "low" || effort == "medium" || effort == "high") {
        inside_member(out_, "reasoning_effort", effort);
    } else if (!effort.empty()) {
        inside_member(out_, "reasoning_effort", "high");
        done_.notes.add("output_config.effort", "lowered to high");
    }
}

void RequestWriter::write_format() {
    if (request_.output_schema.empty()) return;
    if (!takes_.structured_output) return done_.notes.add("output_config.format");
    open_member(out_, "response_format");
    bool strict = may_be_strict("output_config.format", request_.output_schema);
    out_.append("{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\"");
    if (strict) raw_member(out_, "strict", "true");
    raw_member(out_, "schema", request_.output_schema);
    out_.append("}}");
}

// OpenAI refuses a schema that does not keep its rules for "strict"; without it, it is a wish.
bool RequestWriter::may_be_strict(std::string_view field, std::string_view schema) {
    if (fits_strict(reader_, schema)) return true;
    done_.notes.add(field, "not held to strictly: the schema does not keep OpenAI's rules");
    return false;
}

void RequestWriter::write_user() {
    if (request_.user_id.empty()) return;
    std::string user = unescaped(request_.user_id);
    if (user.size() > kUserBytesMax) {
        done_.notes.add("metadata.user_id", "cut to 64 bytes");
        std::size_t size = kUserBytesMax;
        while (size > 0 && (static_cast<unsigned char>(user[size]) & 0xC0) == 0x80) --size;
        user.resize(size);
    }
    text_member(out_, "user", user);
}

void RequestWriter::note_rest() {
    for (std::string_view name : request_.unknown) done_.notes.add_unknown(name);
}

}  // namespace

Result<RequestConversion> request_to_openai(
    JsonReader& reader, std::string_view body, const ToOpenaiOptions& options, std::string& out
) {
    Result<AnthropicRequest> request = read_anthropic_request(reader, body);
    if (!request) return request.error();
    std::size_t begin = out.size();
    // Most bodies grow by little; text is copied, and only the arguments of tool calls are escaped
    // once more.
    out.reserve(begin + body.size() + body.size() / 8 + 256);
    Result<RequestConversion> done = RequestWriter(reader, *request, options, out).write();
    if (!done) out.resize(begin);
    return done;
}

}  // namespace balancer::wire::convert
