// What each data plane has tried at each provider lately, out of cumulative counters.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "balancer/v1/data_plane.pb.h"
#include "base/clock.hpp"

namespace balancer::controlplane {

struct Usage {
    std::uint64_t attempts = 0;
    std::uint64_t failures = 0;  // but those of the clients' own making
};

// A pure core; lives in the Merger. Counting begins with the first report of a process, whatever
// its counters say by then, and again with the first that tells of a provider that was added since.
class UsageWindow {
  public:
    static constexpr Milliseconds kLength{30'000};

    // Those there are: what is told of others is not kept, since names are a peer's to make up.
    void set_providers(std::set<std::string, std::less<>> names);

    void take(
        std::string_view dp_id,
        std::string_view instance_id,
        const google::protobuf::RepeatedPtrField<v1::Counters>& counters,
        UnixMs now
    );

    // A signal tells of a use before the counters do.
    void touch(std::string_view dp_id, std::string_view provider, UnixMs now);

    // Within kLength; nothing from a data plane that has not reported since.
    Usage recent(std::string_view dp_id, std::string_view provider, UnixMs now) const;

    // When this data plane last tried that provider, as far as counters tell; 0: never.
    UnixMs last_use(std::string_view dp_id, std::string_view provider) const;

    // Data planes that have not reported within kLength are forgotten.
    void age(UnixMs now);

    // The clock was set (ClockWatch).
    void shift(Milliseconds by);

  private:
    struct Sample {
        UnixMs at = 0;
        Usage total;
    };
    struct Series {
        std::deque<Sample> samples;
        UnixMs last_use = 0;
        bool unknown_base = false;  // the provider came later than the process: its first numbers are where it begins
    };
    struct Process {
        std::string instance_id;
        UnixMs heard = 0;
        std::map<std::string, Series, std::less<>> by_provider;
    };

    static void append(Series& series, const Usage& total, UnixMs now);

    std::set<std::string, std::less<>> providers_;
    std::map<std::string, Process, std::less<>> processes_;  // by dp_id
};

}  // namespace balancer::controlplane
