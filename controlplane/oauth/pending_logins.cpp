#include "controlplane/oauth/pending_logins.hpp"

#include <fmt/format.h>

#include "base/file.hpp"

namespace balancer::controlplane {

Result<PendingLogin> PendingLogins::begin(std::string account, std::string redirect_uri, SteadyTime now) {
    forget_old(now);
    if (logins_.size() >= kPendingMax) {
        return invalid(fmt::format(
            "{} logins are under way already: finish one of them, or wait until the oldest is {} minutes old",
            kPendingMax,
            std::chrono::duration_cast<std::chrono::minutes>(kValid).count()
        ));
    }
    PendingLogin login;
    login.state = make_secret_text(random_);
    login.verifier = make_secret_text(random_);
    login.redirect_uri = std::move(redirect_uri);
    login.account = std::move(account);
    login.began = now;
    logins_.push_back(login);
    return login;
}

std::optional<PendingLogin> PendingLogins::take(std::string_view state, SteadyTime now) {
    forget_old(now);
    std::size_t found = logins_.size();
    // All of them, whichever matches.
    for (std::size_t i = 0; i < logins_.size(); ++i) {
        if (equal_in_constant_time(logins_[i].state, state)) found = i;
    }
    if (found == logins_.size()) return std::nullopt;
    PendingLogin login = std::move(logins_[found]);
    logins_.erase(logins_.begin() + static_cast<std::ptrdiff_t>(found));
    return login;
}

void PendingLogins::forget_old(SteadyTime now) {
    std::erase_if(logins_, [now](const PendingLogin& login) { return now - login.began >= kValid; });
}

}  // namespace balancer::controlplane
