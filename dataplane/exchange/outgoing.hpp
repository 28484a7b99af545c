// The body that goes to one candidate.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/wire/convert/conversion.hpp"

namespace balancer::dataplane {

// Made anew for each candidate. The pieces point into the client's body and into the strings here.
struct Outgoing {
    std::vector<std::string_view> pieces;
    std::string model;      // the JSON string that takes the client's one's place
    std::deque<std::string> texts;  // what else takes the place of something
    std::string converted;  // the whole body, for a provider of another format
    wire::convert::RequestConversion conversion;
    std::uint64_t charged = 0;  // for `converted`, against the memory for bodies
    bool include_usage = false;  // a client of OpenAI's format wants usage in its stream

    std::uint64_t size() const {
        std::uint64_t bytes = 0;
        for (std::string_view piece : pieces) bytes += piece.size();
        return bytes;
    }
};

}  // namespace balancer::dataplane
