// Turns a provider's answer into another format while it arrives.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/wire/http_head.hpp"
#include "model/failure.hpp"

namespace balancer::dataplane {

// One answer, on one worker. What it writes takes the place of what came, so that who judges and relays the answer sees only
// the client's format. Errors are no answers: their bytes go through.
class AnswerFilter {
  public:
    struct Step {
        FailureClass failure = FailureClass::kNone;  // kNone: goes on
        std::string detail;                          // without the request's or the answer's content
    };

    virtual ~AnswerFilter() = default;

    // The head has come. May change its fields; the values written must outlive the answer. False: the body goes through as
    // it is, and the filter is done with.
    virtual bool begin(wire::ResponseHead& head) = 0;

    // Bytes of the body, in pieces of any size. Appends to `out`.
    virtual Step feed(std::string_view bytes, std::string& out) = 0;

    // The body is whole as far as HTTP can tell.
    virtual Step end(std::string& out) = 0;

    // The connection is lost, or silent for too long. True: the answer is whole all the same, and has been ended; only what
    // nobody needs is missing.
    virtual bool finish(std::string& /*out*/) { return false; }

    // What has broken a stream behind its first content; the error event that says so is in the output. kNone: nothing, or the
    // provider itself has told an error.
    virtual FailureClass stream_fault() const { return FailureClass::kNone; }
};

}  // namespace balancer::dataplane
