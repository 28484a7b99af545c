#include "dataplane/tokens/request_parts.hpp"

#include "dataplane/tokens/python_json.hpp"
#include "dataplane/wire/convert/anthropic_request.hpp"
#include "dataplane/wire/convert/conversion.hpp"
#include "dataplane/wire/convert/json_text.hpp"

namespace balancer::tokens {
namespace {

using wire::convert::Block;
using wire::convert::Content;
using Form = CountedPart::Form;

// `problem` is set by the first block that cannot be counted.
struct Collector {
    RequestParts out;
    Error problem;

    void text(std::string_view inside) {
        if (!inside.empty()) out.parts.push_back({inside, Form::kText, false});
    }
    void json(std::string_view raw) {
        if (!raw.empty()) out.parts.push_back({raw, Form::kJson, false});
    }

    // A result's blocks are counted as one text, as they were in the original.
    void tool_result(const Content& content) {
        std::size_t first = out.parts.size();
        all(content);
        for (std::size_t i = first; i + 1 < out.parts.size(); ++i) out.parts[i].goes_on = true;
    }

    void document(const Block& block) {
        text(block.title);
        text(block.context);
        if (block.source.type == "text") return text(block.source.data);
        if (block.source.type == "content") return all(block.source.content);
        problem = wire::convert::not_capable(
            "a document that is not text (PDF, by URL or by file) cannot be counted without Anthropic's API"
        );
    }

    void block(const Block& block) {
        const std::string_view type = block.type;
        if (type == "image") {
            out.fixed += kTokensPerImage;
        } else if (type == "document") {
            document(block);
        } else if (type == "tool_result") {
            tool_result(block.content);
        } else if (type != "thinking" && type != "redacted_thinking") {
            // text, tool_use, and whatever else has a text, a name, an input or a content.
            text(block.text);
            text(block.title);
            text(block.name);
            json(block.input);
            all(block.content);
        }
    }

    void all(const Content& content) {
        text(content.text);
        for (const Block& one : content.blocks) block(one);
    }
};

}  // namespace

Result<RequestParts> take_apart(wire::convert::JsonReader& reader, std::string_view body) {
    Result<wire::convert::AnthropicRequest> request = wire::convert::read_anthropic_request(reader, body);
    if (!request) return request.error();
    Collector collector;
    collector.all(request->system);
    for (const wire::convert::AnthropicTurn& turn : request->messages) {
        collector.out.fixed += kTokensPerMessage;
        collector.text(turn.role);
        collector.all(turn.content);
    }
    if (!request->tools.empty()) collector.out.fixed += kTokensOfTools;
    for (const wire::convert::AnthropicTool& tool : request->tools) {
        collector.text(tool.name);
        collector.text(tool.description);
        // A tool of the provider's own has no schema here; its type stands for what it is.
        if (tool.input_schema.raw.empty()) collector.text(tool.type);
        collector.json(tool.input_schema.raw);
    }
    if (collector.problem.code) return collector.problem;
    return std::move(collector.out);
}

void append_text(std::string& out, const CountedPart& part) {
    if (part.form == Form::kJson) return append_python_json(out, part.raw);
    wire::convert::append_unescaped(out, part.raw);
}

}  // namespace balancer::tokens
