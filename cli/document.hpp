// Answers for scripts: JSON or YAML.
#pragma once

#include <google/protobuf/message.h>

#include <nlohmann/json_fwd.hpp>
#include <ostream>

#include "cli/session.hpp"

namespace balancer::cli {

// `format` is kJson or kYaml.
void print_document(const nlohmann::ordered_json& document, Format format, std::ostream& out);

// Field names as in the schema, secrets masked.
void print_document(const google::protobuf::Message& message, Format format, std::ostream& out);

}  // namespace balancer::cli
