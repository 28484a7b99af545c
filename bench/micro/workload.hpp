// What the benchmarks send: texts in the shape and the sizes that Claude Code and providers send them, made up.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace balancer::bench {

// A Messages request in the middle of a session, about 100 KB: three system blocks, twelve tools, twenty rounds of call and
// result. With room for the parser behind its end.
std::string messages_request();

// The same conversation as a chat completions request.
std::string chat_request();

// A whole answer, one string for each event: about 200, most of them a few words of text, and one tool call in fragments.
std::vector<std::string> messages_stream();
std::vector<std::string> chat_stream();

}  // namespace balancer::bench
