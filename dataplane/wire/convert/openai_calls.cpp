#include "dataplane/wire/convert/openai_calls.hpp"

namespace balancer::wire::convert {

void read_openai_function(JsonReader::Walk& walk, Value& value, OpenaiCall& call) {
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "name") {
            call.name = walk.string(member);
        } else if (name == "arguments") {
            call.arguments = walk.string(member);
            // Some servers send the object itself and not its text.
            if (walk.kind(member) == JsonKind::kObject) call.arguments_object = walk.raw(member);
        }
    });
}

void read_openai_call(JsonReader::Walk& walk, Value& value, OpenaiCall& call) {
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "index" && walk.kind(member) == JsonKind::kNumber) {
            call.index = walk.count(member);
        } else if (name == "id") {
            call.id = walk.string(member);
        } else if (name == "function") {
            read_openai_function(walk, member, call);
        }
    });
}

}  // namespace balancer::wire::convert
