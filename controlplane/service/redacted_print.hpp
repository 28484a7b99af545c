// The one way a message of ours is shown to somebody: fields with the option
// (balancer.v1.sensitive) never appear.
#pragma once

#include <google/protobuf/message.h>

#include <nlohmann/json_fwd.hpp>

namespace balancer {

inline constexpr const char* kMasked = "[redacted]";

// Replaces every sensitive field that is set by "[redacted]", at any depth. Empty ones stay empty,
// so that "none" can still be told from "some". Sensitive fields are strings or bytes (a test holds
// the schema to that).
void mask_secrets(google::protobuf::Message& message);

// For scripts: the schema's field names, in its order, every field present; an unset message is
// null, 64-bit numbers are numbers, enumerators are their schema names, bytes are hex, sensitive
// fields are masked.
nlohmann::ordered_json to_json(const google::protobuf::Message& message);

}  // namespace balancer
