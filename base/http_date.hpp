// Dates as HTTP's headers write them.
#pragma once

#include <string_view>

#include "base/clock.hpp"

namespace balancer {

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7, the one form that is not obsolete); 0 when it is none.
UnixMs parse_http_date(std::string_view text);

}  // namespace balancer
