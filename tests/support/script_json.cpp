// Scripts from JSON. Every object is read key by key, so that a misspelt key is refused rather than
// ignored.
#include <fmt/format.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/script.hpp"

namespace balancer::tests {
namespace {

// Keeps the order of keys: a verbatim JSON body goes out as it was written.
using Json = nlohmann::ordered_json;

// What is wrong with the script; never leaves parse_script.
struct ScriptProblem {
    std::string text;
};

template <class T>
T as(const Json& value, std::string_view key) {
    try {
        return value.get<T>();
    } catch (const Json::exception& problem) {
        throw ScriptProblem{fmt::format("'{}': {}", key, problem.what())};
    }
}

template <class T>
std::function<void(const Json&)> into(T& target, std::string_view key) {
    return [&target, key](const Json& value) {
        if constexpr (std::is_same_v<T, milliseconds>) {
            target = milliseconds(as<unsigned>(value, key));
        } else {
            target = as<T>(value, key);
        }
    };
}

using Readers = std::map<std::string, std::function<void(const Json&)>, std::less<>>;

void read_object(const Json& object, std::string_view what, const Readers& readers) {
    if (!object.is_object()) throw ScriptProblem{fmt::format("{} must be an object", what)};
    for (const auto& [key, value] : object.items()) {
        auto reader = readers.find(key);
        if (reader == readers.end()) {
            throw ScriptProblem{fmt::format("{}: unknown key '{}'", what, key)};
        }
        reader->second(value);
    }
}

template <class T>
T choice(const Json& value, std::string_view key, const std::map<std::string, T>& names) {
    auto found = names.find(as<std::string>(value, key));
    if (found != names.end()) return found->second;
    std::string allowed;
    for (const auto& [name, unused] : names) allowed += (allowed.empty() ? "" : ", ") + name;
    throw ScriptProblem{fmt::format("'{}': {} is none of {}", key, value.dump(), allowed)};
}

HeaderLines read_headers(const Json& value) {
    HeaderLines headers;
    if (!value.is_object()) throw ScriptProblem{"'headers' must be an object"};
    for (const auto& [name, text] : value.items()) {
        headers.emplace_back(name, text.is_string() ? text.get<std::string>() : text.dump());
    }
    return headers;
}

ErrorSpec read_error(const Json& value) {
    ErrorSpec error;
    read_object(
        value,
        "error",
        {{"type", into(error.type, "type")}, {"message", into(error.message, "message")}}
    );
    return error;
}

ErrorEvent read_error_event(const Json& value) {
    ErrorEvent event;
    read_object(
        value,
        "error_event",
        {{"after_events", into(event.after_events, "after_events")},
         {"type", into(event.error.type, "type")},
         {"message", into(event.error.message, "message")}}
    );
    return event;
}

Break read_break(const Json& value) {
    Break result;
    read_object(
        value,
        "break",
        {{"how",
          [&](const Json& v) {
              result.how = choice<Break::How>(
                  v,
                  "how",
                  {{"reset", Break::How::kReset},
                   {"close", Break::How::kClose},
                   {"finish", Break::How::kFinish},
                   {"hang", Break::How::kHang},
                   {"bad_chunk", Break::How::kBadChunk}}
              );
          }},
         {"after",
          [&](const Json& v) {
              result.after = choice<Break::After>(
                  v,
                  "after",
                  {{"head_bytes", Break::After::kHeadBytes},
                   {"body_bytes", Break::After::kBodyBytes},
                   {"events", Break::After::kEvents}}
              );
          }},
         {"count", into(result.count, "count")}}
    );
    return result;
}

std::vector<StreamEvent> read_events(const Json& value) {
    std::vector<StreamEvent> events;
    if (!value.is_array()) throw ScriptProblem{"'events' must be a list"};
    for (const Json& item : value) {
        StreamEvent event;
        if (item.is_string()) {
            event.bytes = item.get<std::string>();
        } else {
            read_object(
                item,
                "events[]",
                {{"bytes", into(event.bytes, "bytes")}, {"gap_ms", into(event.gap, "gap_ms")}}
            );
        }
        events.push_back(std::move(event));
    }
    return events;
}

ToolUse read_tool(const Json& value) {
    ToolUse tool{"get_weather", "{}"};
    read_object(
        value,
        "tool",
        {{"name", into(tool.name, "name")},
         {"input", [&](const Json& input) { tool.input_json = input.dump(); }}}
    );
    return tool;
}

void add_message_readers(Readers& readers, MessageSpec& message) {
    readers["text"] = into(message.text, "text");
    readers["text_bytes"] = into(message.text_bytes, "text_bytes");
    readers["model"] = into(message.model, "model");
    readers["thinking"] = into(message.thinking, "thinking");
    readers["signature"] = into(message.signature, "signature");
    readers["tool"] = [&](const Json& v) { message.tool = read_tool(v); };
    readers["stop_reason"] = into(message.stop_reason, "stop_reason");
    readers["input_tokens"] = into(message.input_tokens, "input_tokens");
    readers["output_tokens"] = into(message.output_tokens, "output_tokens");
    readers["event_gap_ms"] = into(message.event_gap, "event_gap_ms");
    readers["pings_before_start"] = into(message.pings_before_start, "pings_before_start");
    readers["ping_gap_ms"] = into(message.ping_gap, "ping_gap_ms");
    readers["delta_bytes"] = into(message.delta_bytes, "delta_bytes");
}

void add_reply_readers(Readers& readers, Step& step) {
    readers["status"] = into(step.status, "status");
    readers["headers"] = [&](const Json& v) { step.headers = read_headers(v); };
    readers["body"] = [&](const Json& v) {
        step.body = v.is_string() ? v.get<std::string>() : v.dump();
    };
    readers["error"] = [&](const Json& v) { step.error = read_error(v); };
    readers["events"] = [&](const Json& v) { step.events = read_events(v); };
    readers["framing"] = [&](const Json& v) {
        step.framing = choice<Framing>(
            v,
            "framing",
            {{"natural", Framing::kNatural},
             {"content_length", Framing::kContentLength},
             {"chunked", Framing::kChunked},
             {"until_close", Framing::kUntilClose}}
        );
    };
    readers["closing"] = [&](const Json& v) {
        step.closing = choice<Closing>(
            v,
            "closing",
            {{"keep_alive", Closing::kKeepAlive},
             {"announced", Closing::kAnnounced},
             {"silent", Closing::kSilent}}
        );
    };
}

Step read_step(const Json& value) {
    Step step;
    Readers readers;
    add_message_readers(readers, step.message);
    add_reply_readers(readers, step);
    readers["refuse"] = into(step.refuse, "refuse");
    readers["delay_ms"] = into(step.delay, "delay_ms");
    readers["informational"] = into(step.informational, "informational");
    readers["error_event"] = [&](const Json& v) { step.error_event = read_error_event(v); };
    readers["break"] = [&](const Json& v) { step.break_off = read_break(v); };
    readers["trickle_bytes"] = into(step.trickle_bytes, "trickle_bytes");
    readers["trickle_gap_ms"] = into(step.trickle_gap, "trickle_gap_ms");
    readers["content_length_off_by"] = into(step.content_length_off_by, "content_length_off_by");
    readers["garbage_head"] = into(step.garbage_head, "garbage_head");
    readers["times"] = into(step.times, "times");
    read_object(value, "step", readers);
    return step;
}

std::vector<Step> read_steps(const Json& value) {
    if (!value.is_array()) throw ScriptProblem{"'steps' must be a list"};
    std::vector<Step> steps;
    for (const Json& item : value) steps.push_back(read_step(item));
    return steps;
}

Match read_match(const Json& value) {
    Match match;
    auto text = [](std::optional<std::string>& target, std::string_view key) {
        return [&target, key](const Json& v) { target = as<std::string>(v, key); };
    };
    read_object(
        value,
        "match",
        {{"path", text(match.path, "path")},
         {"model", text(match.model, "model")},
         {"header", text(match.header, "header")},
         {"stream", [&](const Json& v) { match.stream = as<bool>(v, "stream"); }}}
    );
    return match;
}

std::function<void(const Json&)> read_loop(Rule& rule) {
    return [&rule](const Json& v) {
        rule.at_the_end = as<bool>(v, "loop") ? AtTheEnd::kLoop : AtTheEnd::kRepeatLast;
    };
}

Rule read_rule(const Json& value) {
    Rule rule;
    read_object(
        value,
        "rule",
        {{"match", [&](const Json& v) { rule.match = read_match(v); }},
         {"steps", [&](const Json& v) { rule.steps = read_steps(v); }},
         {"loop", read_loop(rule)}}
    );
    return rule;
}

Script read_script(const Json& value) {
    Script script;
    Rule fallback;
    Readers readers;
    readers["steps"] = [&](const Json& v) { fallback.steps = read_steps(v); };
    readers["loop"] = read_loop(fallback);
    readers["rules"] = [&](const Json& v) {
        if (!v.is_array()) throw ScriptProblem{"'rules' must be a list"};
        for (const Json& item : v) script.rules.push_back(read_rule(item));
    };
    readers["on_expect"] = [&](const Json& v) {
        script.on_expect = choice<OnExpect>(
            v,
            "on_expect",
            {{"continue", OnExpect::kContinue},
             {"ignore", OnExpect::kIgnore},
             {"refuse", OnExpect::kRefuse}}
        );
    };
    readers["reads_body"] = into(script.reads_body, "reads_body");
    read_object(value, "script", readers);
    script.rules.push_back(std::move(fallback));
    return script;
}

}  // namespace

Result<Script> parse_script(std::string_view json) {
    Json value = Json::parse(json, nullptr, false, true);
    if (value.is_discarded()) return invalid("the script is not JSON");
    try {
        return read_script(value);
    } catch (const ScriptProblem& problem) {
        return invalid(problem.text);
    }
}

}  // namespace balancer::tests
