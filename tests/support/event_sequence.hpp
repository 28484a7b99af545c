// What an event stream of Anthropic's must look like, checked event by event with another parser
// than the product's.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace balancer::tests {

struct SeenEvent {
    std::string name;
    nlohmann::json data;
};

// The events of a stream whose every event is `event: NAME\ndata: JSON\n\n`; `problem` says what is
// not.
inline std::vector<SeenEvent> split_events(std::string_view stream, std::string& problem) {
    std::vector<SeenEvent> events;
    while (!stream.empty() && problem.empty()) {
        std::size_t end = stream.find("\n\n");
        std::size_t line = stream.find("\ndata: ");
        if (!stream.starts_with("event: ") || end == std::string_view::npos || line > end) {
            problem = "no event: " + std::string(stream.substr(0, 80));
            break;
        }
        std::string_view data = stream.substr(line + 7, end - line - 7);
        SeenEvent event{
            std::string(stream.substr(7, line - 7)), nlohmann::json::parse(data, nullptr, false)};
        if (!event.data.is_object() || event.data.value("type", "") != event.name) {
            problem = "bad data: " + std::string(data.substr(0, 200));
        }
        events.push_back(std::move(event));
        stream.remove_prefix(end + 2);
    }
    return events;
}

// Checks the order of the events and puts the message together again, as a client's SDK does.
class SequenceCheck {
  public:
    // What is wrong with the stream, or nothing. It may be empty, or end in an error.
    std::string check(std::string_view stream) {
        std::string problem;
        for (const SeenEvent& event : split_events(stream, problem)) {
            if (problem.empty()) problem = take(event);
        }
        if (problem.empty() && started_ && !over_)
            problem = "neither message_stop nor error at the end";
        return problem;
    }

    bool is_whole() const { return whole_; }
    bool has_error() const { return over_ && !whole_; }
    const nlohmann::json& message() const { return message_; }
    const nlohmann::json& error() const { return error_; }

  private:
    std::string take(const SeenEvent& event) {
        const std::string& name = event.name;
        if (over_) return name + " behind the end";
        if (name == "ping") return {};
        if (name == "error") {
            over_ = true;
            error_ = event.data["error"];
            return error_.is_object() && error_.contains("message") ? "" : "an error without words";
        }
        if (name == "message_start") {
            if (started_) return "a second message_start";
            started_ = true;
            message_ = event.data["message"];
            return message_["content"] == nlohmann::json::array() ? ""
                                                                  : "message_start with content";
        }
        if (!started_) return name + " before message_start";
        if (name == "message_delta") return take_delta(event.data);
        if (name == "message_stop") {
            over_ = whole_ = true;
            return ended_ ? "" : "message_stop without message_delta";
        }
        if (ended_) return name + " behind message_delta";
        return take_block(name, event.data);
    }

    std::string take_delta(const nlohmann::json& data) {
        if (open_) return "message_delta while a block is open";
        ended_ = true;
        for (const auto& [key, value] : data["delta"].items()) message_[key] = value;
        for (const auto& [key, value] : data["usage"].items()) message_["usage"][key] = value;
        return data["delta"]["stop_reason"].is_string() ? "" : "message_delta without stop_reason";
    }

    std::string take_block(const std::string& name, const nlohmann::json& data) {
        nlohmann::json& content = message_["content"];
        if (data["index"] != (open_ ? content.size() - 1 : content.size()))
            return name + " with a wrong index";
        if (name == "content_block_start") {
            if (open_) return "a block inside of a block";
            open_ = true;
            content.push_back(data["content_block"]);
            partial_.clear();
            return {};
        }
        if (!open_) return name + " without a block";
        nlohmann::json& block = content.back();
        if (name == "content_block_stop") {
            open_ = false;
            if (partial_.empty()) return {};
            block["input"] = nlohmann::json::parse(partial_, nullptr, false);
            if (!block["input"].is_object()) broken_inputs_ = true;
            return {};
        }
        return name == "content_block_delta" ? take_content(block, data["delta"])
                                             : "unknown event " + name;
    }

    std::string take_content(nlohmann::json& block, const nlohmann::json& delta) {
        struct Kind {
            const char* delta;
            const char* block;
            const char* member;
        };
        static constexpr Kind kKinds[] = {
            {"text_delta", "text", "text"},
            {"thinking_delta", "thinking", "thinking"},
            {"signature_delta", "thinking", "signature"},
        };
        std::string type = delta.value("type", "");
        for (const Kind& kind : kKinds) {
            if (type != kind.delta) continue;
            if (block["type"] != kind.block) return type + " in a block of another type";
            block[kind.member] =
                block[kind.member].get<std::string>() + delta[kind.member].get<std::string>();
            return {};
        }
        if (type == "citations_delta") {
            block["citations"].push_back(delta["citation"]);
            return {};
        }
        if (type != "input_json_delta") return "unknown delta " + type;
        if (!block.contains("input")) return "input for a block that takes none";
        partial_ += delta["partial_json"].get<std::string>();
        return {};
    }

  public:
    // Input that is no JSON object: allowed only where an answer was cut short.
    bool has_broken_input() const { return broken_inputs_; }

  private:
    nlohmann::json message_;
    nlohmann::json error_;
    std::string partial_;
    bool started_ = false;
    bool open_ = false;
    bool ended_ = false;
    bool over_ = false;
    bool whole_ = false;
    bool broken_inputs_ = false;
};

}  // namespace balancer::tests
