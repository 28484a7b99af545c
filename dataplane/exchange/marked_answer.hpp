// The answer of a provider of type anthropic whose thinking no other one takes: its signatures get the issuer's mark.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dataplane/upstream/answer_filter.hpp"
#include "dataplane/wire/convert/mark_signatures.hpp"

namespace balancer::dataplane {

// Errors and answers with a content coding pass as they are.
class MarkedAnswer final : public AnswerFilter {
  public:
    static constexpr std::size_t kWholeBytesMax = 64U << 20;

    // `reader` and `mark` outlive this.
    MarkedAnswer(wire::convert::JsonReader& reader, std::string_view mark) : reader_(reader), mark_(mark) {}

    bool begin(wire::ResponseHead& head) override;
    Step feed(std::string_view bytes, std::string& out) override;
    Step end(std::string& out) override;

  private:
    wire::convert::JsonReader& reader_;
    const std::string_view mark_;
    std::optional<wire::convert::SignatureMarker> stream_;
    std::string held_;  // a whole message
};

}  // namespace balancer::dataplane
