// Taking elements out of a JSON list or object without writing it anew: which bytes go, commas included.
#pragma once

#include <string_view>
#include <vector>

#include "dataplane/wire/body_scan.hpp"

namespace balancer::wire::convert {

// Of a list: the value. Of an object: the member, from its name's quote to its value's end.
struct Element {
    ByteSpan span;
    std::string_view kind;  // whatever its reader tells them apart by: type, role, name
    bool cut = false;
};

// Adds what to cut to `edits`: each element with the comma behind it; those behind the last that stays, with the comma
// before them. Where none stays, what is left is an empty list or object.
void cut_elements(const std::vector<Element>& elements, std::vector<BodyEdit>& edits);

// False when there are none.
bool all_are_cut(const std::vector<Element>& elements);

}  // namespace balancer::wire::convert
