// Why an answer ended, in the words of both formats. Unknown words become a plain end.
#pragma once

#include <string_view>

namespace balancer::wire::convert {

std::string_view stop_reason_of(std::string_view finish_reason, bool has_calls);
std::string_view finish_reason_of(std::string_view stop_reason);

}  // namespace balancer::wire::convert
