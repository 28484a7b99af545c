// The tokens that an answer says it has cost.
#pragma once

#include <cstdint>
#include <string_view>

namespace balancer::wire {

// Fed with an answer's body in pieces of whole events, or with all of it: the last numbers count, as both APIs mean them. Cached
// input is in OpenAI's number and beside Anthropic's. For numbers that a person looks at: no parser, and none of the answer's
// text can be taken for one, since quotes in it are escaped; a tool's input in a message that is no stream can.
class Usage {
  public:
    void look_into(std::string_view body);

    std::uint64_t input_tokens() const { return input_ + cache_read_ + cache_written_; }
    std::uint64_t output_tokens() const { return output_; }

  private:
    std::uint64_t input_ = 0;
    std::uint64_t cache_read_ = 0;
    std::uint64_t cache_written_ = 0;
    std::uint64_t output_ = 0;
};

}  // namespace balancer::wire
