// Which data planes fail where the others do well, and which of them may turn unready.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "controlplane/health/standing.hpp"
#include "controlplane/health/usage_window.hpp"

namespace balancer::controlplane {

// A pure core; lives in the Merger. Suspect is who fails more than half of its attempts at two
// providers or more of which the median of the others fails less than a fifth: the fault is its
// own. It stays so until what it does looks better, or for a minute without evidence, in which a
// load balancer keeps its clients away.
//
// A third of the fleet may be unready for it, the longest suspect first, those that are unready for
// other reasons counted in: never all, and in a fleet of two nobody.
class SuspectRule {
  public:
    static constexpr std::uint64_t kAttemptsMin = 5;  // of one data plane at one provider
    static constexpr std::size_t kProvidersMin = 2;
    static constexpr Milliseconds kDoubtMax{60'000};

    // `providers`: each with where it is; several under one address are one witness.
    void judge(
        const UsageWindow& usage,
        const std::vector<Member>& members,
        const std::map<std::string, std::string, std::less<>>& providers,
        UnixMs now
    );

    // The clock was set (ClockWatch).
    void shift(Milliseconds by);

    const Standings& standings() const { return standings_; }
    bool suspect(std::string_view dp_id) const { return standings_.contains(dp_id); }

  private:
    struct Record {
        std::size_t used = 0;             // providers that it used enough to be judged by
        std::vector<std::string> failed;  // of them, those that only it fails at
    };

    static Record record_of(
        std::string_view dp_id,
        const UsageWindow& usage,
        const std::vector<Member>& members,
        const std::map<std::string, std::string, std::less<>>& providers,
        UnixMs now
    );
    void give_leave(const std::vector<Member>& members);

    Standings standings_;
    std::map<std::string, UnixMs, std::less<>> seen_failing_;  // when last, of those in standings_
};

}  // namespace balancer::controlplane
