// `anthropic-beta`: which of its tokens a provider gets, and which fields of the body belong to them. A token without its
// field is harmless, a field without its token is refused: so they go together.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dataplane/wire/http_head.hpp"
#include "model/snapshot.hpp"

namespace balancer::wire {

// Whether the provider takes the token: its list lets it pass, and it takes what the token is for.
bool takes_beta(std::string_view token, const Provider& provider);

// What the provider takes of this request: less than its table says where the client asks for a field by a token that does
// not pass.
Capabilities takes_of_request(const HeaderFields& client, const Provider& provider);

// The tokens that do not pass are appended to `dropped`, as they were written; returns the value that is left, the others as
// they were. Empty: nothing is.
std::string filter_betas(std::string_view value, const Provider& provider, std::vector<std::string_view>* dropped = nullptr);

}  // namespace balancer::wire
