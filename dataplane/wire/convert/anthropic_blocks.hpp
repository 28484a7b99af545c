// Reading content blocks, of requests and of answers. For the sources of this folder only: it
// speaks simdjson.
#pragma once

#include "dataplane/wire/convert/anthropic_request.hpp"
#include "dataplane/wire/convert/json_walk.hpp"

namespace balancer::wire::convert {

void read_content(JsonReader::Walk& walk, Value& value, const Place& place, Content& content);

void read_block(JsonReader::Walk& walk, Value& value, const Place& place, Block& block);

}  // namespace balancer::wire::convert
