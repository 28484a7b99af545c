// JSON as Python's json.dumps writes it: ", " and ": " between values, everything beyond ASCII escaped.
#pragma once

#include <string>
#include <string_view>

namespace balancer::tokens {

// `json` is one valid value in UTF-8. Numbers stay as they are written.
void append_python_json(std::string& out, std::string_view json);

}  // namespace balancer::tokens
