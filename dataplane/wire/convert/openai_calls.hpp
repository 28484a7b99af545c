// Reading tool calls, of requests and of answers. For the sources of this folder only: it speaks
// simdjson.
#pragma once

#include "dataplane/wire/convert/json_walk.hpp"
#include "dataplane/wire/convert/openai_answer.hpp"

namespace balancer::wire::convert {

void read_openai_function(JsonReader::Walk& walk, Value& value, OpenaiCall& call);
void read_openai_call(JsonReader::Walk& walk, Value& value, OpenaiCall& call);

}  // namespace balancer::wire::convert
