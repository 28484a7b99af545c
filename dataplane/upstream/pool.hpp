// Idle keep-alive connections to providers.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "dataplane/upstream/stream.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

// A connection and what the pool needs to know of it.
struct PooledConnection {
    std::unique_ptr<UpstreamStream> stream;
    SteadyTime made_at;
};

// Lives on one worker. Last in, first out, so that the spare ones grow old and go.
class UpstreamPool {
  public:
    static constexpr std::size_t kIdlePerProviderMax = 64;
    static constexpr std::chrono::seconds kIdleMax{50};
    static constexpr std::chrono::minutes kAgeMax{15};

    // A connection to this generation of the provider that looks alive, or nothing.
    PooledConnection take(const Provider& provider, SteadyTime now);

    void give_back(const Provider& provider, PooledConnection connection, SteadyTime now);

    // Closes what has idled or lived too long.
    void tidy(SteadyTime now);

    // Closes all.
    void clear();

    std::size_t idle() const { return idle_; }

  private:
    struct Idle {
        PooledConnection connection;
        SteadyTime since;
    };
    std::unordered_map<std::string, std::vector<Idle>> by_provider_;  // name, NUL, etag
    std::size_t idle_ = 0;
};

}  // namespace balancer::dataplane
