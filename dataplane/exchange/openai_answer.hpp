// The answer of a provider of type openai, as the Messages API would have given it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dataplane/upstream/answer_filter.hpp"
#include "dataplane/wire/convert/aggregate.hpp"
#include "dataplane/wire/convert/stream_to_anthropic.hpp"

namespace balancer::dataplane {

// A stream or a whole message, whichever the client asked for, out of whichever the provider sent; errors in Anthropic's types,
// statuses and words. Errors of its own are protocol failures: the provider does not speak its dialect.
class OpenaiAnswer final : public AnswerFilter {
  public:
    static constexpr std::size_t kWholeBytesMax = 64U << 20;

    // `reader` outlives this.
    OpenaiAnswer(
        wire::convert::JsonReader& reader, wire::convert::ToAnthropicOptions options, bool client_wants_stream
    );

    void begin(wire::ResponseHead& head) override;
    Step feed(std::string_view bytes, std::string& out) override;
    Step end(wire::ResponseHead& head, std::string& out) override;

  private:
    Step put_together(std::string& out);
    Step look_for_fault(std::string& out);
    Step tell_error(const wire::LocalError& error, std::string& out) const;
    Step convert_whole(std::string& out);

    wire::convert::JsonReader& reader_;
    const wire::convert::ToAnthropicOptions options_;
    const bool client_wants_stream_;
    bool is_error_ = false;
    std::optional<wire::convert::StreamToAnthropic> stream_;    // of a stream
    std::optional<wire::convert::Aggregate> aggregate_;         // and that, for a client that wants none
    std::string held_;    // a body that has to be whole
    std::string events_;  // on their way into aggregate_
    bool fault_told_ = false;
};

}  // namespace balancer::dataplane
