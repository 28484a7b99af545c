// A Messages request for a provider with the same API that takes less of it: what it does not take is cut out, and no other
// byte changes. docs/format-conversion.md has the table.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/convert/conversion.hpp"
#include "dataplane/wire/convert/json_reader.hpp"
#include "model/capabilities.hpp"

namespace balancer::wire::convert {

struct FittedRequest {
    std::vector<BodyEdit> edits;     // of the body; some may lie inside of others
    std::deque<std::string> texts;   // what they point into
    Notes notes;
};

enum class Pin { kLeave, kCut };

// `body` has kBodyPadding readable bytes behind it. With kCut the member `provider` goes too: it has commas in common with
// its neighbours. Errors: not_capable() for what the answer depends on, which names the block; else the body cannot be read,
// and is the provider's to judge.
Result<FittedRequest> fit_request(JsonReader& reader, std::string_view body, const Capabilities& takes, Pin pin);

}  // namespace balancer::wire::convert
