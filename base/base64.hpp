// RFC 4648: how bytes travel in header lines and URLs.
#pragma once

#include <string>
#include <string_view>

namespace balancer {

// Section 4, padded.
std::string to_base64(std::string_view bytes);

// Section 5, without padding, as RFC 7636 has it.
std::string to_base64url(std::string_view bytes);

}  // namespace balancer
