// How much one data plane's word about accounts is worth.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.hpp"

namespace balancer::controlplane {

// An answer about the account (a refused key, an exhausted quota, a limit with its reset) benches
// for all on one report. A data plane behind a proxy that refuses everything would bench the whole
// configuration that way: so one of them opens two providers a minute, and no more. What is over
// that is a vote like others. Lives in the Merger; a pure core.
class AuthorityBudget {
  public:
    static constexpr std::size_t kProvidersMax = 2;
    static constexpr Milliseconds kWithin{60'000};

    bool take(std::string_view dp_id, std::string_view provider, UnixMs now) {
        std::deque<Spent>& spent = by_data_plane_[std::string(dp_id)];
        std::erase_if(spent, [&](const Spent& one) { return now - one.at >= kWithin.count(); });
        for (Spent& one : spent) {
            if (one.provider == provider) return true;
        }
        if (spent.size() >= kProvidersMax) return false;
        spent.push_back({std::string(provider), now});
        return true;
    }

    // The clock was set (ClockWatch).
    void shift(Milliseconds by) {
        for (auto& [dp_id, spent] : by_data_plane_) {
            for (Spent& one : spent) one.at += by.count();
        }
    }

    void age(UnixMs now) {
        std::erase_if(by_data_plane_, [&](const auto& item) {
            return item.second.empty() || now - item.second.back().at >= kWithin.count();
        });
    }

  private:
    struct Spent {
        std::string provider;
        UnixMs at = 0;
    };
    std::map<std::string, std::deque<Spent>, std::less<>> by_data_plane_;
};

}  // namespace balancer::controlplane
