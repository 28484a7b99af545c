// In which order the providers of a request are tried. Pure: what changes is an argument.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/sticky_table.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

struct Candidate {
    const Provider* provider = nullptr;
    std::string_view model;  // to send; empty: the client's own. Points into the snapshot
    ProbeTicket* probe = nullptr;  // half-open: usable by whoever takes this. Points into the health view
    bool ramping = false;          // behind all others: it is not this session's turn yet
    const Condition* benched = nullptr;  // tried all the same (panic, pin). Points into the health view
};

struct SkippedCandidate {
    const Provider* provider = nullptr;
    std::string_view model;  // as in Candidate
    std::string why;
    UnixMs until = 0;  // 0: not a matter of time
};

struct RankInput {
    const Snapshot& snapshot;
    const HealthView& health;
    std::vector<const Route*> routes;      // as match_routes gives them
    std::string_view model;                // as the client asked for it
    bool may_probe = true;                 // its outcome would say something about health
    std::string_view pinned_provider;      // empty: none
    SessionKey session = 0;
    std::uint16_t sticky_provider = 0;     // StickyTable::find
    UnixMs now = 0;
    // The next turn of a route, for round_robin; a number in [0, 1), for random.
    std::function<std::uint32_t(const Route&)> next_turn;
    std::function<double()> random;
    bool claude_code = true;  // it is a request of Claude Code
};

struct Plan {
    std::vector<Candidate> candidates;
    std::vector<SkippedCandidate> skipped;
    // Every candidate is benched: tried all the same, in order, a few at a time (the last provider of a route is never
    // given up).
    bool panic = false;
};

// Usable candidates of the first route that has any, then those of the routes behind it (overflow). A sticky
// provider goes first inside its route. Providers in a ramp into which this session does not come yet stand behind all
// others. A pinned provider is the only candidate, benched or not. The accounts of one provider are one target to the
// selection strategy; between them the session decides, by what each account has left.
Plan rank(const RankInput& input);

}  // namespace balancer::dataplane
