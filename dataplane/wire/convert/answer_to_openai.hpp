// A message as a chat completion.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "dataplane/wire/convert/json_reader.hpp"
#include "dataplane/wire/convert/usage.hpp"

namespace balancer::wire::convert {

struct ToOpenaiAnswerOptions {
    std::string completion_id;    // "chatcmpl-…", unique
    std::string model;            // the name that the client asked for
    std::uint64_t created = 0;    // seconds since 1970
    bool include_usage = false;   // of a stream: the client asked for it
    std::string request_id = {};  // for errors in streams
    bool usage_known = true;      // of a whole answer; what is not known is not told
};

// `body` is a whole answer with a status of 2xx. Whole JSON is appended to `out`, or nothing. An
// error means that the provider sent no message: its fault.
Result<Usage> answer_to_openai(
    JsonReader& reader,
    std::string_view body,
    const ToOpenaiAnswerOptions& options,
    std::string& out
);

}  // namespace balancer::wire::convert
