// When a refresh token is posted, and what an account is after it. Pure: time and chance are arguments, nothing is sent or
// stored here. docs/decisions/0018-oauth-custody.md says why.
//
// A refresh token works once. So each post is claimed on disk before it, its result kept on disk before anybody sees it, and
// none is repeated but for three reasons: the endpoint said that it did not take it; nobody has seen it; or nobody knows, and
// then only when the access token at hand is of no more use, which is all that a second post of a spent token could cost.
#pragma once

#include <optional>
#include <string>

#include "base/clock.hpp"
#include "controlplane/oauth/account.hpp"
#include "controlplane/oauth/token_endpoint.hpp"

namespace balancer::controlplane {

enum class RefreshCause {
    kDue,           // half of the lifetime is over, or a try is due again
    kUnauthorized,  // the provider refuses the access token of this generation
    kAsked,         // somebody at the client port wants it
    kByHand,        // an operator wants it, and is believed about a token that may be spent
    kFound,         // it was under way when the control plane was stopped, and its result has been found
};

// An account gives out its access token until so long before its end: clocks differ.
inline constexpr Milliseconds kExpiryMargin{30'000};

// A post without an answer is left alone for so long: the one that sent it may still be at it.
inline constexpr Milliseconds kUncertainGrace{60'000};

// A new login, or tokens of another program: as issued for a request that began at `asked_at`. `chance` is in [0, 1).
void take_grant(Account& account, TokenGrant grant, UnixMs asked_at, double chance);

// Why it cannot or need not be done now, in words; empty: it may begin.
std::string no_refresh_now(const Account& account, RefreshCause cause, UnixMs now);

// Before the post, to be kept on disk. `answer_key` empty: see RefreshClaim.
void claim_refresh(Account& account, std::string attempt, UnixMs now, SecretBytes answer_key = {});

// Behind it. An invalid_grant must be about the stored token still: the caller reads it again first.
void settle_refresh(Account& account, TokenOutcome outcome, UnixMs now, double chance);

// The provider has refused the access token of that generation. False: another one is in use by now.
bool note_unauthorized(Account& account, std::uint64_t generation);

// A data plane may send it.
bool is_usable(const Account& account, UnixMs now);

// A login without a refresh token ends with its access token: when it is over without anybody's doing. Nothing: it is not
// one, or is over.
std::optional<UnixMs> login_end(const Account& account);
void end_login(Account& account);

// The next try by itself; none: there will be none.
std::optional<UnixMs> next_refresh(const Account& account);

}  // namespace balancer::controlplane
