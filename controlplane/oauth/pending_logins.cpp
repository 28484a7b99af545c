#include "controlplane/oauth/pending_logins.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.hpp"

namespace balancer::controlplane {
namespace {

constexpr auto kMinutesValid = std::chrono::duration_cast<std::chrono::minutes>(PendingLogins::kValid).count();

}  // namespace

Result<PendingLogin> PendingLogins::begin(
    LoginWay way, std::string account, std::string redirect_uri, SteadyTime now
) {
    end_old(now);
    auto of_this_way = [way](const PendingLogin& login) { return login.way == way; };
    if (std::count_if(logins_.begin(), logins_.end(), of_this_way) >= static_cast<std::ptrdiff_t>(kPendingMax)) {
        return invalid(fmt::format(
            "{} logins are under way already: finish one of them, or wait until the oldest is {} minutes old{}",
            kPendingMax,
            kMinutesValid,
            way == LoginWay::kClientPort ? "; or log in with `balancerctl oauth login`, which has room of its own" : ""
        ));
    }
    PendingLogin login;
    login.state = make_secret_text(random_);
    login.verifier = make_secret_text(random_);
    login.redirect_uri = std::move(redirect_uri);
    login.account = std::move(account);
    login.began = now;
    login.way = way;
    logins_.push_back(login);
    return login;
}

Result<PendingLogin> PendingLogins::take(std::string_view state, SteadyTime now) {
    end_old(now);
    std::size_t found = logins_.size();
    // All of them, whichever matches.
    for (std::size_t i = 0; i < logins_.size(); ++i) {
        if (equal_in_constant_time(logins_[i].state, state)) found = i;
    }
    const Ended* over = nullptr;
    for (const Ended& ended : ended_) {
        if (equal_in_constant_time(ended.state, state)) over = &ended;
    }
    if (found < logins_.size()) {
        PendingLogin login = std::move(logins_[found]);
        logins_.erase(logins_.begin() + static_cast<std::ptrdiff_t>(found));
        end(login, true);
        return login;
    }
    if (over == nullptr) {
        return invalid(
            "no login with this state is under way: it was begun elsewhere, or before the control plane started; begin "
            "again"
        );
    }
    return invalid(
        over->used ? "this login has come back before, and works once; `balancerctl oauth status` shows whether it is good"
                   : fmt::format("this login was begun more than {} minutes ago, which is too long; begin again", kMinutesValid)
    );
}

void PendingLogins::end(const PendingLogin& login, bool used) {
    if (ended_.size() == kPendingMax) ended_.pop_front();
    ended_.push_back({login.state, used});
}

void PendingLogins::end_old(SteadyTime now) {
    std::erase_if(logins_, [this, now](const PendingLogin& login) {
        if (now - login.began < kValid) return false;
        end(login, false);
        return true;
    });
}

}  // namespace balancer::controlplane
