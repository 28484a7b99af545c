// Holds the state that every data plane must reach, and brings each of them there.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "balancer/v1/admin.pb.h"
#include "balancer/v1/config.pb.h"
#include "balancer/v1/data_plane.pb.h"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "controlplane/health/standing.hpp"

namespace balancer::controlplane {

// How long things may take. The defaults are the protocol's; tests shorten them.
struct PublisherTimes {
    Milliseconds ping_interval{5'000};
    Milliseconds ack_max{10'000};      // from an Update to its acknowledgement
    Milliseconds silence_max{15'000};  // of a data plane, which sends a heartbeat every 2 s
    Milliseconds row_kept{3'600'000};  // of a data plane that has gone
    Milliseconds report_interval{2'000};
    Milliseconds lookup_max{2'000};  // from a question about a request to its answers
};

// Counted since the start, over all data planes.
struct FleetTally {
    std::uint64_t updates_refused = 0;
    std::uint64_t signals_dropped = 0;  // by data planes, for want of room
};

// Lives on the control plane's loop; not thread-safe.
//
// State of the world: three sections under one version. Each publication that changes a section's
// bytes raises `seq` by one. Per data plane at most one Update is un-acknowledged; what comes
// meanwhile merges into the next. A section whose sha256 the data plane has already is sent as
// `unchanged`.
class Publisher {
  public:
    // `start` names the store and this start's epoch; `cp_id` is told to data planes.
    Publisher(
        boost::asio::io_context& context,
        Log& log,
        v1::Version start,
        std::string cp_id = "controlplane",
        PublisherTimes times = {}
    );
    ~Publisher();

    // What a data plane is told of a configuration beside its content.
    struct Origin {
        std::uint64_t revision = 0;
        bool may_be_empty = false;  // an operator means it, when there is no provider in it
    };

    // Nothing is sent to anyone before the first of these. CONFIG and CREDENTIALS of one change go
    // in one Update.
    void publish_config(
        const v1::ConfigSection& config,
        const v1::CredentialSection& credentials,
        std::string cause,
        Origin origin = {0, false}
    );
    void publish_health(const v1::HealthSection& health, std::string cause);

    // True when a configuration has been published.
    bool ready() const;

    v1::Version head() const;

    // One row for every data plane connected now or in the last hour, by id.
    std::vector<v1::DataPlaneView> data_planes() const;

    // Those connected now.
    std::vector<Member> members() const;

    // Grows when members() may be others than before.
    std::uint64_t members_revision() const;

    const FleetTally& tally() const;

    // What the fleet thinks of some of them; each that it changes for is told at once.
    void set_standings(const Standings& standings);

    // What DataPlaneService drives; see publish/registry.hpp.
    class Registry;
    Registry& registry();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace balancer::controlplane
