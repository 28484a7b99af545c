// Thinking in a conversation that another issuer has signed, or nobody: Anthropic's service refuses
// a request with it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/convert/json_reader.hpp"

namespace balancer::wire::convert {

enum class ForeignThinking {
    kConverted,  // the blocks that were made here out of a provider's reasoning
                 // (kConvertedSignature)
    kAll,  // every thinking and redacted_thinking block: none of them was issued by the provider to
           // come
};

// What to cut out of a Messages request that goes to a provider of type anthropic after another one
// has had a part in the conversation. Spans of the body, in order; no other byte changes.
struct ThinkingCuts {
    struct Cut {
        ByteSpan span;
        std::string_view with;  // in its place; usually nothing
    };
    std::vector<Cut> cuts;
    unsigned blocks = 0;    // removed
    unsigned messages = 0;  // removed as a whole, because nothing was left of them
    // The turn in progress has calls but no thinking in front of them, which is refused while
    // thinking is enabled with a budget: it is switched off for this request, and
    // context_management, which needs it, is set to null.
    bool thinking_off = false;
};

// A quick look for what kConverted would cut: false is certain.
bool may_hold_converted_thinking(std::string_view body);

// `body` has kBodyPadding readable bytes behind it.
Result<ThinkingCuts> find_foreign_thinking(
    JsonReader& reader, std::string_view body, ForeignThinking which
);

// The body as pieces to send, views into it and into `cuts`; for a caller that has other splices
// too, `cuts` is enough.
std::vector<std::string_view> apply_cuts(std::string_view body, const ThinkingCuts& cuts);

}  // namespace balancer::wire::convert
