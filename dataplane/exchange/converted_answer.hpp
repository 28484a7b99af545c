// A provider's answer in the format and mode that the client asked for.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dataplane/upstream/answer_filter.hpp"
#include "dataplane/wire/convert/aggregate.hpp"
#include "dataplane/wire/convert/answer_to_openai.hpp"
#include "dataplane/wire/convert/stream_to_anthropic.hpp"
#include "dataplane/wire/convert/stream_to_openai.hpp"
#include "dataplane/wire/format.hpp"

namespace balancer::dataplane {

// What stands between a provider and a client.
struct AnswerConversion {
    wire::Format from = wire::Format::kOpenai;
    wire::Format to = wire::Format::kAnthropic;
    bool stream = false;  // the client wants one
    wire::convert::ToAnthropicOptions to_anthropic = {};
    wire::convert::ToOpenaiAnswerOptions to_openai = {};
};

// A stream or a whole message, whichever the client asked for, out of whichever the provider sent. What goes from one format or
// mode to the other does so by way of Anthropic's. An answer that is as the client wants it is left alone; so is an error (a
// status of 300 or more), which is the exchange's to tell. An error in place of the answer's content is passed on in Anthropic's
// shape, and the exchange tells it too. Errors of its own are protocol failures: the provider does not speak its dialect.
class ConvertedAnswer final : public AnswerFilter {
  public:
    static constexpr std::size_t kWholeBytesMax = 64U << 20;

    // `reader` outlives this.
    ConvertedAnswer(wire::convert::JsonReader& reader, AnswerConversion conversion);

    bool begin(wire::ResponseHead& head) override;
    Step feed(std::string_view bytes, std::string& out) override;
    Step end(std::string& out) override;
    bool finish(std::string& out) override;
    FailureClass stream_fault() const override;

  private:
    void pass_through(std::string_view bytes, std::string& out);
    void gather();
    const wire::convert::StreamState* faulty() const;
    Step look_for_fault(std::string& out);
    Step tell_error(const wire::LocalError& error, std::string& out) const;
    Step convert_whole(std::string& out);
    Step append_whole(std::string_view message, std::string& out);
    Step append_stream(std::string_view message, std::string& out);

    wire::convert::JsonReader& reader_;
    const AnswerConversion conversion_;
    // Of a stream, in the order in which its bytes pass. None: the provider sent a whole message.
    std::optional<wire::convert::StreamToAnthropic> from_openai_;
    std::optional<wire::convert::Aggregate> aggregate_;
    std::optional<wire::convert::StreamToOpenai> to_openai_;
    std::string held_;    // a body that has to be whole
    std::string events_;  // on their way into aggregate_
    bool fault_told_ = false;
};

}  // namespace balancer::dataplane
