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
    kNotAnthropic,  // the blocks that were made here out of a provider's reasoning (kConvertedSignature), and those that
                    // have the mark of an issuer of their own (kSignatureMark)
    kAllButOwn,     // every block without the provider's own mark: it issued none of them
};

// What to cut out of a Messages request that goes to a provider of type anthropic after another one
// has had a part in the conversation. No other byte changes.
struct ThinkingCuts {
    std::vector<BodyEdit> cuts;  // in order
    unsigned blocks = 0;    // removed
    unsigned messages = 0;  // removed as a whole, because nothing was left of them
    // The turn in progress has calls but no thinking in front of them, which is refused while
    // thinking is enabled with a budget: it is switched off for this request, and
    // context_management, which needs it, is set to null.
    bool thinking_off = false;
};

// A quick look for what kNotAnthropic would cut: false is certain.
bool may_hold_marked_thinking(std::string_view body);

// `body` has kBodyPadding readable bytes behind it. `own_mark`, for kAllButOwn: taken off the signatures of the blocks that
// stay.
Result<ThinkingCuts> find_foreign_thinking(
    JsonReader& reader, std::string_view body, ForeignThinking which, std::string_view own_mark = {}
);

// Whether calls of the assistant have been answered and its turn goes on, with thinking at its front that somebody signed:
// whoever does not get the thinking goes on with less. False for a body that cannot be read. `body` as above.
bool is_thinking_loop(JsonReader& reader, std::string_view body);

}  // namespace balancer::wire::convert
