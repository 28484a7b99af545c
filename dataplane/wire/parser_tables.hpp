// What a JSON parser keeps between two texts. For sources that speak simdjson.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <string>

namespace balancer::wire {

// Claude Code's bodies are below this, all but a few.
inline constexpr std::size_t kTablesKeptFor = 1U << 20;

// Before a text of `bytes` is read. A parser's tables take four times its largest text: after a huge one they are given up,
// or each worker would hold them for ever.
inline void give_up_huge_tables(simdjson::ondemand::parser& parser, std::size_t bytes) {
    if (parser.capacity() > kTablesKeptFor && bytes <= kTablesKeptFor) parser = simdjson::ondemand::parser();
}

// The same for a copy of a text, which is about to be written anew. (An assignment would keep the memory.)
inline void give_up_huge_copy(std::string& copy, std::size_t bytes) {
    if (copy.capacity() > kTablesKeptFor && bytes <= kTablesKeptFor / 2) std::string().swap(copy);
}

}  // namespace balancer::wire
