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

namespace balancer::controlplane {

// Records by dp_id; time is an argument. Lives in the Registry. Rows of data planes that have gone
// are forgotten after `row_kept`, and the longest gone first when more than kRowsMax are known.
class Roster {
  public:
    static constexpr std::size_t kRowsMax = 10'000;

    struct Row {
        v1::DataPlaneView view;
        std::optional<std::uint64_t> subscription;  // none: gone
        SteadyTime gone_at;
        std::deque<std::string>
            replaced;  // instances that a newer one took the place of, newest last
        bool newer_than_head_logged = false;
        bool heartbeat_seen = false;  // view.ready is what it said
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

    // By id; `in_sync` is judged against `head`.
    std::vector<v1::DataPlaneView> views(const v1::Version& head, SteadyTime now) const;

  private:
    void forget(SteadyTime now);

    Milliseconds row_kept_;
    std::map<std::string, Row, std::less<>> rows_;
};

}  // namespace balancer::controlplane
