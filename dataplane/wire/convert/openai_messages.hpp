// The messages of a chat completions request, out of those of a Messages request.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dataplane/wire/convert/openai_parts.hpp"

namespace balancer::wire::convert {

// Writes one conversation; lives as long as that takes.
//
// OpenAI wants each tool's result right behind the message that called it, and every call answered.
// Here results may stand anywhere later, in any order: each is moved next to its call, a call
// without one gets an error as its result, and a result without a call is dropped.
class OpenaiMessages {
  public:
    // All outlive this.
    OpenaiMessages(
        const AnthropicRequest& request,
        const Capabilities& takes,
        RequestConversion& done,
        std::string& out
    )
        : request_(request), takes_(takes), done_(done), out_(out), parts_(takes, done.notes) {}

    // Appends the member "messages".
    Result<void> write();

  private:
    struct FoundResult {
        std::size_t turn = 0;
        std::size_t at = 0;  // among the blocks of its turn
        const Block* block = nullptr;
    };
    // Of one id, in the order of their turns; those before `next` are used, or stand in front of
    // every call to come.
    struct Results {
        std::vector<FoundResult> found;
        std::size_t next = 0;
        std::size_t used = 0;
    };

    void find_results();
    const FoundResult* take_result(std::string_view id, std::size_t after_turn);
    void note_orphans();

    Result<void> write_turn(std::size_t at);
    Result<void> write_system(const Content& content, const Place& place, bool leads);
    Result<void> write_user(const Content& content, const Place& place);
    Result<void> write_assistant(const Content& content, const Place& place);
    void write_reasoning(const Content& content);
    void write_calls(const Content& content);
    Result<void> write_results(std::size_t turn);
    Result<void> write_result(const Block& call, const FoundResult* found, Parts& attached);
    std::string_view label(const Block& call);
    void open_message(std::string_view role);

    const AnthropicRequest& request_;
    const Capabilities& takes_;
    RequestConversion& done_;
    std::string& out_;
    PartsReader parts_;
    std::unordered_map<std::string_view, Results> results_;
    std::deque<std::string> labels_;  // insides of strings
};

}  // namespace balancer::wire::convert
