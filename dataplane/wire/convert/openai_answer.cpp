#include "dataplane/wire/convert/openai_answer.hpp"

#include <algorithm>
#include <utility>

#include "dataplane/wire/convert/openai_calls.hpp"

namespace balancer::wire::convert {
namespace {

using Walk = JsonReader::Walk;

void add_reasoning(std::string_view text, OpenaiAnswer& answer) {
    if (!text.empty()) answer.reasoning.push_back(text);
}

// Of Mistral's reasoning models: a part of the content, with a text or parts of its own.
void read_thinking(Walk& walk, Value& value, OpenaiAnswer& answer) {
    if (walk.kind(value) == JsonKind::kString) return add_reasoning(walk.string(value), answer);
    walk.elements(value, [&](std::size_t, Value& part) {
        walk.members(part, [&](std::string_view name, Value& member) {
            if (name == "text") add_reasoning(walk.string(member), answer);
        });
    });
}

// A text, or a list of parts with texts.
void read_texts(Walk& walk, Value& value, OpenaiAnswer& answer) {
    if (walk.kind(value) == JsonKind::kString) {
        std::string_view text = walk.string(value);
        if (!text.empty()) answer.texts.push_back(text);
        return;
    }
    walk.elements(value, [&](std::size_t, Value& part) {
        walk.members(part, [&](std::string_view name, Value& member) {
            if (name == "text" && walk.kind(member) == JsonKind::kString) {
                answer.texts.push_back(walk.string(member));
            } else if (name == "thinking") {
                read_thinking(walk, member, answer);
            } else if (name != "type") {
                answer.has_more = true;
            }
        });
    });
}

// What servers send for "no such thing".
bool is_nothing(std::string_view raw) {
    return raw.empty() || raw == "null" || raw == "\"\"" || raw == "[]" || raw == "{}";
}

void read_message(Walk& walk, Value& value, OpenaiAnswer& answer) {
    std::string_view reasoning_content;
    std::string_view reasoning;
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "content") {
            read_texts(walk, member, answer);
        } else if (name == "reasoning_content") {
            reasoning_content = walk.string(member);
        } else if (name == "reasoning") {
            reasoning = walk.string(member);
        } else if (name == "refusal") {
            answer.refusal = walk.string(member);
        } else if (name == "tool_calls") {
            walk.elements(member, [&](std::size_t, Value& call) {
                read_openai_call(walk, call, answer.calls.emplace_back());
            });
        } else if (name == "function_call" && walk.kind(member) == JsonKind::kObject) {
            read_openai_function(walk, member, answer.calls.emplace_back());
        } else if (name != "role" && !is_nothing(walk.raw(member))) {
            answer.has_more = true;
        }
    });
    // Some servers send both, with the same text.
    add_reasoning(reasoning_content.empty() ? reasoning : reasoning_content, answer);
}

// What a delta brings counts more than a message beside it.
void read_delta(Walk& walk, Value& value, OpenaiAnswer& answer) {
    if (!answer.is_whole_message) return read_message(walk, value, answer);
    OpenaiAnswer part;
    read_message(walk, value, part);
    if (!part.has_content()) return;
    answer.is_whole_message = false;
    answer.texts = std::move(part.texts);
    answer.reasoning = std::move(part.reasoning);
    answer.refusal = part.refusal;
    answer.calls = std::move(part.calls);
}

void read_choice(Walk& walk, Value& value, OpenaiAnswer& answer) {
    answer.has_choice = walk.kind(value) == JsonKind::kObject;
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "delta") {
            read_delta(walk, member, answer);
        } else if (name == "message") {
            if (answer.has_content()) return;
            read_message(walk, member, answer);
            answer.is_whole_message = answer.has_content();
        } else if (name == "finish_reason") {
            answer.finish_reason = walk.string(member);
        } else if (name == "stop_reason" || name == "matched_stop") {
            answer.stop_text = walk.string(member);
        } else if (name == "error") {
            answer.is_error = answer.is_error || walk.kind(member) != JsonKind::kNull;
        }
    });
}

void read_usage(Walk& walk, Value& value, OpenaiAnswer& answer) {
    if (walk.kind(value) != JsonKind::kObject) return;
    std::uint64_t prompt = 0;
    std::uint64_t cached = 0;
    Usage usage;
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "prompt_tokens") prompt = walk.count(member);
        if (name == "completion_tokens") usage.output_tokens = walk.count(member);
        if (name == "prompt_cache_hit_tokens") cached = std::max(cached, walk.count(member));
        if (name != "prompt_tokens_details") return;
        walk.members(member, [&](std::string_view detail, Value& number) {
            if (detail == "cached_tokens") cached = std::max(cached, walk.count(number));
        });
    });
    usage.cache_read_tokens = std::min(cached, prompt);
    usage.input_tokens = prompt - usage.cache_read_tokens;
    answer.usage = usage;
}

}  // namespace

void OpenaiAnswer::clear() {
    std::vector<std::string_view> old_texts = std::move(texts);
    std::vector<std::string_view> old_reasoning = std::move(reasoning);
    std::vector<OpenaiCall> old_calls = std::move(calls);
    *this = {};
    reasoning = std::move(old_reasoning);
    reasoning.clear();
    texts = std::move(old_texts);
    texts.clear();
    calls = std::move(old_calls);
    calls.clear();
}

namespace {

void read_answer_member(Walk& walk, std::string_view name, Value& value, OpenaiAnswer& answer) {
    if (name == "choices") {
        walk.elements(value, [&](std::size_t at, Value& choice) {
            if (at == 0) read_choice(walk, choice, answer);
        });
    } else if (name == "usage") {
        read_usage(walk, value, answer);
    } else if (name == "error") {
        answer.is_error = answer.is_error || walk.kind(value) != JsonKind::kNull;
    }
}

}  // namespace

Result<void> read_openai_answer(JsonReader& reader, std::string_view text, OpenaiAnswer& answer) {
    Walk& walk = reader.walk();
    answer.clear();
    return walk.read_object_copy(text, [&](std::string_view name, Value& value) {
        read_answer_member(walk, name, value, answer);
    });
}

Result<void> read_openai_chunk(JsonReader& reader, std::string_view data, OpenaiAnswer& chunk) {
    Walk& walk = reader.walk();
    chunk.clear();
    return walk.read_object(data, [&](std::string_view name, Value& value) {
        read_answer_member(walk, name, value, chunk);
    });
}

}  // namespace balancer::wire::convert
