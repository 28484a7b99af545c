// `sealed:NAME` in auth_value: the secret itself lies in the sealed store, under that name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace balancer::controlplane {

// The name of a reference; none: the text is something else. The name may be malformed: see is_sealed_name.
std::optional<std::string> sealed_name(std::string_view text);

std::string sealed_reference(std::string_view name);

// 1 to 128 letters, digits, '.', '_' and '-'.
bool is_sealed_name(std::string_view name);

// For a key of that provider; another one each time, since a record is never changed: a revision that refers to it
// brings the same key back.
std::string make_sealed_name(std::string_view provider);

// What auth_value says when it is a secret as it stands ("$${" read as "${"); none: it is a reference, or leads to one.
std::optional<std::string> literal_secret(std::string_view auth_value);

}  // namespace balancer::controlplane
