// Who may have a kept answer again (docs/decisions/0019-coalescing.md).
#pragma once

#include "dataplane/coalesce/calls.hpp"
#include "dataplane/wire/http_head.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

// Anthropic's and OpenAI's libraries count their retries of one request; Claude Code, which sends again by itself, says 0.
bool says_it_asks_again(const wire::RequestHead& head);

// Whether the same request would be asked of the same provider, by the same routes and rules, under both.
bool is_served_alike(const KeptAnswer& answer, const Snapshot& before, const Snapshot& after);

}  // namespace balancer::dataplane
