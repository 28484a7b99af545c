// What of a Messages request is counted: the texts, and the fixed figures that come on top. The sum is the Python balancer's,
// so that its users see the same figures.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "dataplane/wire/convert/json_reader.hpp"

namespace balancer::tokens {

// One text to count, or a part of one.
struct CountedPart {
    enum class Form {
        kText,  // the inside of a JSON string
        kJson,  // a JSON value, counted as Python's json.dumps writes it
    };
    std::string_view raw;
    Form form = Form::kText;
    bool goes_on = false;  // the next part belongs to the same text
};

struct RequestParts {
    std::vector<CountedPart> parts;
    std::uint64_t fixed = 0;  // tokens besides those of the parts
};

// Of a message, an image and a list of tools, besides their texts.
inline constexpr std::uint64_t kTokensPerMessage = 4;
inline constexpr std::uint64_t kTokensPerImage = 768;
inline constexpr std::uint64_t kTokensOfTools = 2;

// The views point into `body`, which has wire::kBodyPadding readable bytes behind it. Errors: in the words of the API; or
// wire::convert::is_not_capable for a request that nobody could count without looking into a PDF or fetching something.
Result<RequestParts> take_apart(wire::convert::JsonReader& reader, std::string_view body);

// Appends a part's text.
void append_text(std::string& out, const CountedPart& part);

}  // namespace balancer::tokens
