#include "base/http_date.hpp"

#include <ctime>
#include <string>

namespace balancer {

UnixMs parse_http_date(std::string_view text) {
    const std::string copy(text);
    std::tm parts{};
    const char* end = ::strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (end == nullptr || *end != '\0') return 0;
    return static_cast<UnixMs>(::timegm(&parts)) * 1000;
}

}  // namespace balancer
