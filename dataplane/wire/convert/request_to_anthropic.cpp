#include "dataplane/wire/convert/request_to_anthropic.hpp"

#include <algorithm>
#include <charconv>

#include "base/file.hpp"
#include "dataplane/wire/convert/anthropic_messages.hpp"
#include "dataplane/wire/convert/json_text.hpp"
#include "dataplane/wire/convert/json_write.hpp"
#include "dataplane/wire/convert/openai_request.hpp"
#include "dataplane/wire/convert/output_schema.hpp"

namespace balancer::wire::convert {
namespace {

constexpr std::size_t kUserIdBytesMax = 256;  // Anthropic's

void write_tools(const OpenaiRequest& request, Notes& notes, std::string& out) {
    if (request.tools.empty()) return;
    open_member(out, "tools");
    out.push_back('[');
    for (const OpenaiTool& tool : request.tools) {
        separate(out);
        out.push_back('{');
        inside_member(out, "name", tool.name);
        if (!tool.description.empty()) inside_member(out, "description", tool.description);
        append_schema(out, "input_schema", tool.parameters);
        out.push_back('}');
    }
    out.push_back(']');
    std::string_view choice = request.tool_choice;
    std::string_view type = choice == "required"   ? "any"
                            : choice == "function" ? "tool"
                            : choice == "none"     ? "none"
                                                   : "auto";
    if (!choice.empty() && type == "auto" && choice != "auto")
        notes.add("tool_choice", "of an unknown type, taken as auto");
    if (choice.empty() && request.parallel_tool_calls) return;
    open_member(out, "tool_choice");
    out.push_back('{');
    inside_member(out, "type", type);
    if (type == "tool") inside_member(out, "name", request.tool_choice_name);
    if (!request.parallel_tool_calls && type != "none")
        raw_member(out, "disable_parallel_tool_use", "true");
    out.push_back('}');
}

// 0 for what is no number that a double holds.
double number_of(std::string_view text) {
    double value = 0;
    auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    return problem == std::errc() ? value : 0;
}

// Newer models refuse both at once. One that is 1, the default, says nothing; else the temperature counts.
void write_sampling(const OpenaiRequest& request, Notes& notes, std::string& out) {
    std::string_view temperature = request.temperature;
    std::string_view top_p = request.top_p;
    if (number_of(temperature) > 1) {
        notes.add("temperature", "lowered to 1");
        temperature = "1";
    }
    if (!temperature.empty() && !top_p.empty()) {
        bool top_p_counts = number_of(temperature) == 1 && number_of(top_p) != 1;
        notes.add(top_p_counts ? "temperature" : "top_p", "one of temperature and top_p is taken, dropped");
        (top_p_counts ? temperature : top_p) = {};
    }
    if (!temperature.empty()) raw_member(out, "temperature", temperature);
    if (!top_p.empty()) raw_member(out, "top_p", top_p);
}

// Anthropic wants a name that tells nothing of the user, and refuses requests with an e-mail address
// or a telephone number in it: what could be one is told apart by a hash.
std::string user_id_of(const std::string& user) {
    bool plain = std::all_of(user.begin(), user.end(), is_plain);
    bool has_letter = std::any_of(user.begin(), user.end(), is_letter);
    if (plain && has_letter && user.size() <= kUserIdBytesMax) return user;
    return "user_" + to_hex(sha256(user)).substr(0, 32);
}

void write_settings(
    JsonReader& reader,
    const OpenaiRequest& request,
    const RequestToAnthropicOptions& options,
    Notes& notes,
    std::string& out
) {
    if (request.max_tokens.empty()) {
        number_member(out, "max_tokens", options.max_tokens);
    } else {
        raw_member(out, "max_tokens", request.max_tokens);
    }
    write_sampling(request, notes, out);
    if (!request.top_k.empty()) raw_member(out, "top_k", request.top_k);
    bool open = false;
    for (std::string_view stop : request.stop) {
        if (is_blank(stop)) {
            notes.add("stop", "of white space only, dropped");
            continue;
        }
        if (!open) {
            open_member(out, "stop_sequences");
            out.push_back('[');
        }
        open = true;
        separate(out);
        out.append("\"").append(stop).append("\"");
    }
    if (open) out.push_back(']');
    if (!request.user.empty()) {
        open_member(out, "metadata");
        out.push_back('{');
        text_member(out, "user_id", user_id_of(unescaped(request.user)));
        out.push_back('}');
    }
    if (!request.output_schema.empty()) {
        open_member(out, "output_config");
        out.append("{\"format\":{\"type\":\"json_schema\"");
        open_member(out, "schema");
        append_output_schema(reader, request.output_schema, notes, out);
        out.append("}}");
    } else if (!request.response_format.empty() && request.response_format != "text") {
        notes.add("response_format");
    }
    // Thinking would have to come back with the next request, which this format has no place for.
    if (!request.reasoning_effort.empty()) notes.add("reasoning_effort");
}

}  // namespace

Result<ConvertedForAnthropic> request_to_anthropic(
    JsonReader& reader,
    std::string_view body,
    const RequestToAnthropicOptions& options,
    std::string& out
) {
    Result<OpenaiRequest> request = read_openai_request(reader, body);
    if (!request) return request.error();
    std::size_t begin = out.size();
    ConvertedForAnthropic done;
    done.include_usage = request->include_usage;
    out.reserve(begin + body.size() + body.size() / 8 + 256);
    out.push_back('{');
    text_member(out, "model", options.model);
    AnthropicMessages messages(reader, *request, done.notes, out);
    if (Result<void> written = messages.write(); !written) {
        out.resize(begin);
        return written.error();
    }
    write_tools(*request, done.notes, out);
    write_settings(reader, *request, options, done.notes, out);
    if (options.stream) raw_member(out, "stream", "true");
    for (std::string_view name : request->unknown) done.notes.add_unknown(name);
    out.push_back('}');
    return done;
}

}  // namespace balancer::wire::convert
