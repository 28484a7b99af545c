// What the control plane knows of each data plane, connected or lately gone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "balancer/v1/admin.pb.h"
#include "balancer/v1/data_plane.pb.h"
#include "base/clock.hpp"
#include "controlplane/publish/token_bucket.hpp"

namespace balancer::controlplane {

// Records by dp_id; time is an argument. Lives in the Registry. Rows of data planes that have gone
// are forgotten after `row_kept`, and the longest gone first when more than kRowsMax are known.
class Roster {
  public:
    static constexpr std::size_t kRowsMax = 10'000;

    // A data plane that loses its stream comes back within 5 s, a few times faster at first.
    static constexpr double kStreamBurst = 10;
    static constexpr double kStreamsPerSecond = 1;
    static constexpr double kComplaintBurst = 20;
    static constexpr double kComplaintsPerSecond = 0.2;

    struct Row {
        v1::DataPlaneView view;
        std::optional<std::uint64_t> subscription;  // none: gone
        SteadyTime gone_at;
        std::deque<std::string>
            replaced;  // instances that a newer one took the place of, newest last
        bool newer_than_head_logged = false;
        bool heartbeat_seen = false;  // view.ready is what it said
        std::optional<SteadyTime>
            behind_since;  // when the first version was published that it has not acknowledged
        TokenBucket streams{kStreamBurst, kStreamsPerSecond};
        TokenBucket complaints{kComplaintBurst, kComplaintsPerSecond};  // lines about it in the log
    };

    explicit Roster(Milliseconds row_kept) : row_kept_(row_kept) {}

    // The row of this data plane, made when it is new.
    Row& admit(const std::string& dp_id, SteadyTime now);

    // Null: unknown.
    Row* find(std::string_view dp_id);
    const Row* find(std::string_view dp_id) const;

    // Remembers that `instance_id` has been replaced, so that the two do not take turns.
    static void mark_replaced(Row& row, const std::string& instance_id);
    static bool was_replaced(const Row& row, std::string_view instance_id);

    // A version has been published. All are of one epoch.
    void published(const v1::Version& head, SteadyTime now);

    // This row has said Hello, or acknowledged a version.
    void greeted(Row& row, SteadyTime now) const;
    void acknowledged(Row& row, const v1::Version& version, const v1::Version& head) const;

    // By id. While health moves there is always a version on its way: in sync is who has
    // acknowledged `head`, or has not been behind for longer than kOnItsWay.
    std::vector<v1::DataPlaneView> views(
        const v1::Version& head, SteadyTime now, UnixMs unix_now
    ) const;

    static constexpr Milliseconds kOnItsWay{2'000};

  private:
    struct Publication {
        std::uint64_t seq = 0;
        SteadyTime at;
    };

    void forget(SteadyTime now);

    Milliseconds row_kept_;
    std::map<std::string, Row, std::less<>> rows_;
    std::deque<Publication> publications_;  // the last kPublicationsMax, oldest first
};

}  // namespace balancer::controlplane
