// Turns a step of a script into bytes and pauses. Pure: the server only plays what stands here.
#pragma once

#include <string>
#include <vector>

#include "tests/support/recorded_request.hpp"
#include "tests/support/script.hpp"

namespace balancer::tests {

// Sent in one write, after `gap` of silence.
struct Piece {
    std::string bytes;
    milliseconds gap{0};
};

// What becomes of the connection after the last piece.
enum class Ending {
    kKeepAlive,
    kClose,        // FIN, then whatever still comes is read until the peer closes too
    kCloseAtOnce,  // closed for both directions, without a word
    kReset,        // RST
    kHang,         // nothing more, until the peer goes away
};

struct Reply {
    std::vector<Piece> pieces;
    Ending ending = Ending::kKeepAlive;
};

// The answer to a request on the Messages API's paths. HEAD requests get the head alone.
Reply compose_reply(const Step& step, const RecordedRequest& request);

}  // namespace balancer::tests
