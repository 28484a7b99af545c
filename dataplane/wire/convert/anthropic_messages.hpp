// The messages of a Messages request, out of those of a chat completions request.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dataplane/wire/convert/conversion.hpp"
#include "dataplane/wire/convert/openai_request.hpp"
#include "dataplane/wire/convert/place.hpp"

namespace balancer::wire::convert {

// Writes one conversation; lives as long as that takes. Messages of one side that follow each other
// become one; results of tools stand at the front of the message behind their calls, a call without
// one gets an error as its result, and a result without a call is dropped.
class AnthropicMessages {
  public:
    // All outlive this.
    AnthropicMessages(
        JsonReader& reader, const OpenaiRequest& request, Notes& notes, std::string& out
    )
        : reader_(reader), request_(request), notes_(notes), out_(out) {}

    // Appends the members "system" and "messages".
    Result<void> write();

  private:
    struct Call {
        std::string id;  // as it is sent
        bool answered = false;
    };

    std::size_t write_system();
    Result<void> write_message(const OpenaiMessage& message, const Place& place);
    Result<void> write_result(const OpenaiMessage& message, const Place& place);
    void write_calls(const OpenaiMessage& message);
    std::string unique_id(const std::string& id);
    void write_missing_results();
    Result<void> write_parts(const OpenaiMessage& message, const Place& place);
    Result<void> write_part(const OpenaiPart& part, const Place& place);
    bool write_source(std::string_view block, std::string_view url, bool links);
    void write_text(std::string_view inside);
    void open_turn(std::string_view role);
    void close_turn();

    JsonReader& reader_;
    const OpenaiRequest& request_;
    Notes& notes_;
    std::string& out_;
    std::string_view role_;    // of the turn that is open
    std::vector<Call> calls_;  // of the assistant's last turn
    // Those without a result so far, by the id that the client knows; in their order, should several have the same.
    std::unordered_map<std::string, std::deque<std::size_t>> waiting_;
    // The ids of the conversation, and the last number that each got behind it.
    std::unordered_map<std::string, std::size_t> used_;
};

}  // namespace balancer::wire::convert
