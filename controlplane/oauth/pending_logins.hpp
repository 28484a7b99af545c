// Logins that have begun: what must be known when the browser comes back.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "controlplane/oauth/pkce.hpp"

namespace balancer::controlplane {

// Who has begun a login. The client port may be open to anybody, so each has room of its own.
enum class LoginWay {
    kClientPort,
    kOperator,  // balancerctl
};

struct PendingLogin {
    std::string state;
    std::string verifier;
    std::string redirect_uri;
    std::string account;  // as the user named it; empty: by the token's profile
    SteadyTime began{};
    LoginWay way = LoginWay::kClientPort;
};

// A pure core, on the control plane's loop. Many logins at once, each with a state and a verifier of its own.
class PendingLogins {
  public:
    static constexpr Milliseconds kValid{600'000};
    static constexpr std::size_t kPendingMax = 64;  // of one way

    explicit PendingLogins(RandomBytes random) : random_(std::move(random)) {}

    // An error: so many are under way already. None is pushed out by another.
    Result<PendingLogin> begin(LoginWay way, std::string account, std::string redirect_uri, SteadyTime now);

    // The login of that state, which is over with this: a state works once. An error says in words whether it was used, is
    // older than kValid, or was never known. Takes a time that does not depend on how much of the state is right.
    Result<PendingLogin> take(std::string_view state, SteadyTime now);

  private:
    // One that is over: somebody who opens its page again is told so.
    struct Ended {
        std::string state;
        bool used = false;  // else it was too old
    };

    void end(const PendingLogin& login, bool used);
    void end_old(SteadyTime now);

    RandomBytes random_;
    std::vector<PendingLogin> logins_;
    std::deque<Ended> ended_;  // the last kPendingMax
};

}  // namespace balancer::controlplane
