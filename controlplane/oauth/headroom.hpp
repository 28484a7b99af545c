// How much an account has left, coarse enough to be published: what is published goes to every data plane. Pure.
#pragma once

#include "base/clock.hpp"
#include "model/account_use.hpp"

namespace balancer::controlplane {

// Percent, in the steps 100, 75, 50, 25 and 5, of the window that has least left. A window that was not told of, or whose
// reset has come, is whole. Never 0: an account that has nothing left is held, and until its provider says so it may be
// asked. `before` is the step so far: for a higher one there must be clearly more, so that answers that overtake each
// other change nothing.
unsigned headroom_of(const AccountUse& use, UnixMs now, unsigned before);

}  // namespace balancer::controlplane
