#include "dataplane/wire/convert/element_cuts.hpp"

#include <algorithm>

namespace balancer::wire::convert {

void cut_elements(const std::vector<Element>& elements, std::vector<BodyEdit>& edits) {
    if (elements.empty()) return;
    if (all_are_cut(elements)) {
        edits.push_back({{elements.front().span.begin, elements.back().span.end}, {}});
        return;
    }
    std::size_t last = elements.size() - 1;
    while (elements[last].cut) --last;
    for (std::size_t i = 0; i < last; ++i) {
        if (elements[i].cut) edits.push_back({{elements[i].span.begin, elements[i + 1].span.begin}, {}});
    }
    if (last + 1 < elements.size()) {
        edits.push_back({{elements[last].span.end, elements.back().span.end}, {}});
    }
}

bool all_are_cut(const std::vector<Element>& elements) {
    return !elements.empty() &&
           std::all_of(elements.begin(), elements.end(), [](const Element& one) { return one.cut; });
}

}  // namespace balancer::wire::convert
