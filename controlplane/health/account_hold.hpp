// A bench on the provider's own word, as it is kept over a restart.
#pragma once

#include <string>

#include "base/clock.hpp"

namespace balancer::controlplane {

// A plain record: the provider has refused the account, its quota is used up, or it has told when its limit ends. What
// the fleet found out by trying is not worth keeping, since it is found out again soon; this costs a refused request at
// each data plane, and may cost the account.
struct AccountHold {
    std::string provider;
    std::string model;  // empty: the whole provider
    std::string etag;   // the provider generation that it is about; another one is not held
    UnixMs until = 0;   // 0: its time is over, and one request may try it
    std::string why;

    friend bool operator==(const AccountHold&, const AccountHold&) = default;
};

}  // namespace balancer::controlplane
