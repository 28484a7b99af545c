#include "controlplane/oauth/headroom.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace balancer::controlplane {
namespace {

struct Step {
    unsigned percent;
    double left_min;
};

constexpr std::array<Step, 5> kSteps = {{{100, 0.75}, {75, 0.5}, {50, 0.25}, {25, 0.1}, {5, 0}}};
constexpr double kClearlyMore = 0.05;

double left_of(const std::optional<double>& used, UnixMs reset, UnixMs now) {
    if (!used || (reset != 0 && reset <= now)) return 1;
    return std::clamp(1 - *used, 0.0, 1.0);
}

}  // namespace

unsigned headroom_of(const AccountUse& use, UnixMs now, unsigned before) {
    double left = std::min(
        left_of(use.five_hour, use.five_hour_reset, now), left_of(use.seven_day, use.seven_day_reset, now)
    );
    auto step = std::find_if(kSteps.begin(), kSteps.end(), [&](const Step& one) {
        return left >= one.left_min + (one.percent > before ? kClearlyMore : 0);
    });
    return step == kSteps.end() ? kSteps.back().percent : step->percent;
}

}  // namespace balancer::controlplane
