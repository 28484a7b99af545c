#include "dataplane/wire/convert/answer_to_anthropic.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "dataplane/wire/convert/json_text.hpp"
#include "dataplane/wire/convert/json_write.hpp"
#include "dataplane/wire/convert/openai_answer.hpp"
#include "dataplane/wire/convert/stop_reason.hpp"
#include "dataplane/wire/convert/tool_input.hpp"

namespace balancer::wire::convert {
namespace {

void append_text_block(std::string& out, const OpenaiAnswer& answer) {
    if (answer.texts.empty() && answer.refusal.empty()) return;
    separate(out);
    out.append("{\"type\":\"text\",\"text\":\"");
    for (std::string_view text : answer.texts) out.append(text);
    out.append(answer.refusal);
    out.append("\"}");
}

void append_thinking_block(std::string& out, const OpenaiAnswer& answer) {
    if (answer.reasoning.empty()) return;
    separate(out);
    out.append("{\"type\":\"thinking\",\"thinking\":\"");
    for (std::string_view text : answer.reasoning) out.append(text);
    out.push_back('"');
    inside_member(out, "signature", kConvertedSignature);
    out.push_back('}');
}

void append_call_block(
    JsonReader& reader,
    const OpenaiCall& call,
    AnthropicToolIds& ids,
    const ToAnthropicOptions& options,
    std::string& out
) {
    separate(out);
    out.push_back('{');
    inside_member(out, "type", "tool_use");
    inside_member(out, "id", ids.next(call.id));
    inside_member(out, "name", options.tool_names.from_openai(call.name));
    open_member(out, "input");
    if (call.arguments_object.empty()) {
        append_tool_input(reader, unescaped(call.arguments), out);
    } else {
        out.append(call.arguments_object);
    }
    out.push_back('}');
}

}  // namespace

bool is_told_error(const Error& error) {
    return error.code == boost::system::errc::bad_message;
}

Result<Usage> answer_to_anthropic(
    JsonReader& reader, std::string_view body, const ToAnthropicOptions& options, std::string& out
) {
    OpenaiAnswer answer;
    if (Result<void> read = read_openai_answer(reader, body, answer); !read) {
        return invalid("the answer is no chat completion: " + read.error().text());
    }
    if (answer.is_error) {
        return Error{
            make_error_code(boost::system::errc::bad_message),
            "the answer is an error inside of a success"
        };
    }
    if (!answer.has_choice) return invalid("the answer is no chat completion: it has no choices");
    auto has_name = [](const OpenaiCall& call) { return !call.name.empty(); };
    bool has_calls = std::any_of(answer.calls.begin(), answer.calls.end(), has_name);
    auto end = anthropic_end(
        {answer.finish_reason, answer.stop_text, !answer.refusal.empty(), has_calls}
    );
    if (!end) {
        return invalid(
            fmt::format("the provider broke its answer off: {}", unescaped(answer.finish_reason))
        );
    }
    out.push_back('{');
    text_member(out, "id", options.message_id);
    inside_member(out, "type", "message");
    inside_member(out, "role", "assistant");
    text_member(out, "model", options.model);
    open_member(out, "content");
    out.push_back('[');
    append_thinking_block(out, answer);
    append_text_block(out, answer);
    AnthropicToolIds ids(options.message_id);
    for (const OpenaiCall& call : answer.calls) {
        if (!call.name.empty()) append_call_block(reader, call, ids, options, out);
    }
    out.push_back(']');
    inside_member(out, "stop_reason", end->stop_reason);
    if (end->stop_sequence.empty()) {
        raw_member(out, "stop_sequence", "null");
    } else {
        inside_member(out, "stop_sequence", end->stop_sequence);
    }
    Usage usage = answer.usage.value_or(Usage{});
    append_anthropic_usage(out, usage);
    out.push_back('}');
    return usage;
}

}  // namespace balancer::wire::convert
