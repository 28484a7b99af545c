#include "controlplane/oauth/refresh.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace balancer::controlplane {
namespace {

// Half of the lifetime, give or take a tenth of it: accounts that logged in together do not come together for ever.
constexpr double kJitter = 0.1;
constexpr Milliseconds kRetryFirst{30'000};
constexpr Milliseconds kRetryMax{15 * 60'000};
constexpr Milliseconds kRetryAfterMax{60 * 60'000};
// A token that is refused so soon is not made better by another one of the same login.
constexpr Milliseconds kFruitlessFirst{60'000};
constexpr Milliseconds kFruitlessMax{60 * 60'000};
constexpr unsigned kDoublingsMax = 16;

Milliseconds doubled(Milliseconds first, unsigned times, Milliseconds max) {
    return std::min(max, first * (std::int64_t{1} << std::min(times, kDoublingsMax)));
}

UnixMs half_life(const Account& account, double chance) {
    auto lifetime = static_cast<double>(account.expires_at - account.issued_at);
    double share = 0.5 + kJitter * (2 * chance - 1);
    return account.issued_at + static_cast<UnixMs>(lifetime * share);
}

Milliseconds retry_wait(const Account& account, Milliseconds told, double chance) {
    Milliseconds wait = doubled(kRetryFirst, account.failures - 1, kRetryMax);
    wait += Milliseconds(static_cast<std::int64_t>(static_cast<double>(wait.count()) * 0.2 * chance));
    return std::max(wait, std::min(told, kRetryAfterMax));
}

void fail(Account& account, const TokenOutcome& outcome, UnixMs now) {
    ++account.failures;
    account.last_refresh_at = now;
    account.last_refresh = "failed: " + outcome.words;
}

// Nobody knows whether the token has been spent. If it has, whatever is done loses nothing more, except this: a second post of
// a spent token makes the provider revoke the whole login, and with it the access token in use. So that one is used first.
UnixMs uncertain_until(const Account& account) {
    return account.last_refresh_at + doubled(kUncertainGrace, account.failures - 1, kRetryMax).count();
}

void become_uncertain(Account& account, UnixMs now) {
    account.uncertain = true;
    UnixMs spent = account.expires_at - kExpiryMargin.count();
    UnixMs earliest = uncertain_until(account);
    account.refresh_at = account.unauthorized ? earliest : std::max(earliest, spent);
    account.problem = fmt::format(
        "a refresh was sent and its answer never came, so the refresh token may be spent; it is tried again {}. "
        "If that fails, log in again",
        account.refresh_at > now && account.refresh_at == spent ? "when the access token ends" : "soon"
    );
}

}  // namespace

void take_grant(Account& account, TokenGrant grant, UnixMs asked_at, double chance) {
    account.access_token = std::move(grant.access_token);
    if (!grant.refresh_token.empty()) account.refresh_token = std::move(grant.refresh_token);
    if (!grant.scopes.empty()) account.scopes = std::move(grant.scopes);
    if (!grant.email.empty()) account.email = std::move(grant.email);
    if (!grant.account_uuid.empty()) account.account_uuid = std::move(grant.account_uuid);
    if (!grant.organization.empty()) account.organization = std::move(grant.organization);
    ++account.generation;
    account.issued_at = asked_at;
    account.expires_at = asked_at + grant.expires_in.count();
    account.refresh_at = account.refresh_token.empty() ? 0 : half_life(account, chance);
    account.claim.reset();
    account.uncertain = false;
    account.needs_login = false;
    account.unauthorized = false;
    account.failures = 0;
    account.problem.clear();
}

std::string no_refresh_now(const Account& account, RefreshCause cause, UnixMs now) {
    if (account.refresh_token.empty()) {
        return "it has no refresh token: log in again when its access token has ended";
    }
    if (account.claim) return "a refresh is under way";
    if (cause == RefreshCause::kByHand) return {};
    if (account.needs_login) return "its login is dead: log in again";
    if (cause == RefreshCause::kAsked) {
        if (!account.uncertain || now >= account.refresh_at) return {};
        return fmt::format(
            "the answer to the last refresh never came, and another post of a token that is spent ends the login; it is tried "
            "again by itself when that costs least, or at once with `balancerctl oauth refresh {}`",
            account.name
        );
    }
    if (cause == RefreshCause::kDue) {
        return account.refresh_at != 0 && account.refresh_at <= now ? "" : "it is not due yet";
    }
    if ((account.uncertain || account.failures > 0) && now < account.refresh_at) return "the last try failed; the next is planned";
    UnixMs settled = account.issued_at + doubled(kFruitlessFirst, account.fruitless, kFruitlessMax).count();
    if (account.fruitless > 0 && now < settled) return "its token is new, and was refused as well";
    return {};
}

void claim_refresh(Account& account, std::string attempt, UnixMs now, SecretBytes answer_key) {
    account.claim = RefreshClaim{std::move(attempt), now, std::move(answer_key)};
}

void settle_refresh(Account& account, TokenOutcome outcome, UnixMs now, double chance) {
    UnixMs posted_at = account.claim ? account.claim->at : now;
    account.claim.reset();
    switch (outcome.result) {
        case TokenResult::kIssued: {
            bool refused = account.unauthorized;
            take_grant(account, std::move(outcome.grant), posted_at, chance);
            // Another token that is refused at once counts on; one that held for half its life begins anew.
            account.fruitless = refused ? account.fruitless + 1 : 0;
            if (refused) ++account.trust;
            ++account.refreshes;
            account.last_refresh_at = now;
            account.last_refresh = "good";
            return;
        }
        case TokenResult::kInvalidGrant:
            fail(account, outcome, now);
            account.needs_login = true;
            account.uncertain = false;
            account.refresh_at = 0;
            account.problem = fmt::format(
                "the login is dead: {}; log in again with `balancerctl oauth login {}`", outcome.words, account.name
            );
            return;
        case TokenResult::kUnknown:
            fail(account, outcome, now);
            become_uncertain(account, now);
            return;
        case TokenResult::kNotSent:
        case TokenResult::kTurnedAway:
            fail(account, outcome, now);
            // Asking by hand does not wake what is dead.
            account.refresh_at = account.needs_login
                                     ? 0
                                     : now + retry_wait(account, outcome.retry_after, chance).count();
            // Whether an earlier post went through is as open as before.
            if (!account.needs_login && !account.uncertain) {
                account.problem = fmt::format("{} refresh{} failed: {}", account.failures, account.failures == 1 ? "" : "es", outcome.words);
            }
            return;
    }
}

bool note_unauthorized(Account& account, std::uint64_t generation) {
    if (generation != account.generation) return false;
    account.unauthorized = true;
    // There is nothing left to wait for but the grace.
    if (account.uncertain) account.refresh_at = std::min(account.refresh_at, uncertain_until(account));
    return true;
}

bool is_usable(const Account& account, UnixMs now) {
    if (account.access_token.empty() || now + kExpiryMargin.count() >= account.expires_at) return false;
    return !(account.unauthorized && account.needs_login);
}

std::optional<UnixMs> login_end(const Account& account) {
    if (account.needs_login || !account.refresh_token.empty()) return std::nullopt;
    return account.expires_at - kExpiryMargin.count();
}

void end_login(Account& account) {
    account.needs_login = true;
    account.problem = fmt::format(
        "the login is over: its access token has ended, and it came without a refresh token; log in again with "
        "`balancerctl oauth login {}`",
        account.name
    );
}

std::optional<UnixMs> next_refresh(const Account& account) {
    if (account.refresh_at == 0 || account.refresh_token.empty() || account.needs_login || account.claim) {
        return std::nullopt;
    }
    return account.refresh_at;
}

}  // namespace balancer::controlplane
