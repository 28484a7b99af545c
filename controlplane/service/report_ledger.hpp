// Remembers which reports have been taken, so that one sent again after a reconnect counts once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace balancer::controlplane {

// A pure core on the control plane's loop. A process numbers its reports upwards and has one
// un-acknowledged at a time, so the highest number is all there is to remember. Beyond
// kInstancesMax the longest unheard is forgotten.
class ReportLedger {
  public:
    static constexpr std::size_t kInstancesMax = 10'000;

    // True when this report has not been taken before; from then on it has.
    bool take(const std::string& instance_id, std::uint64_t report_seq);

  private:
    struct Heard {
        std::uint64_t report_seq = 0;
        std::uint64_t at = 0;  // the order in which processes spoke
    };
    std::map<std::string, Heard> by_instance_;
    std::uint64_t clock_ = 0;
};

}  // namespace balancer::controlplane
