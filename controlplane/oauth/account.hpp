// One login: its tokens, and where its refresh stands. All of it is one sealed record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret_bytes.hpp"
#include "model/account_use.hpp"

namespace balancer::controlplane {

// The name of an account is in routes' and metrics' names: 1 to 100 bytes of UTF-8, no control characters, no slash.
bool is_account_name(std::string_view name);
inline constexpr const char* kAccountNameRule =
    "an account's name has 1 to 100 bytes of UTF-8, and neither a slash nor control characters";

// A refresh token is about to be posted, or has been, and what came of it is not recorded yet.
struct RefreshClaim {
    std::string attempt;  // random; names what the process that posts leaves behind
    UnixMs at = 0;
    // What that process seals the answer with, this once. Empty: the control plane posts itself, and the answer dies with it.
    SecretBytes answer_key{};

    RefreshClaim copy() const;
};

// A window of one family of models is used up.
struct FamilyHold {
    std::string family;  // "opus"
    UnixMs until = 0;
};

struct Account {
    std::string name;
    std::string email;
    std::string account_uuid;
    std::string organization;
    SecretBytes access_token;
    SecretBytes refresh_token;  // empty: there is none, and the login ends with the access token
    std::vector<std::string> scopes;

    std::uint64_t generation = 0;  // of the access token; grows with each
    // Grows when what was known of the account's health is void: a new login, or a new token because the provider had refused
    // the old one.
    std::uint64_t trust = 0;
    UnixMs logged_in_at = 0;
    UnixMs issued_at = 0;   // before the request that it came from was sent
    UnixMs expires_at = 0;

    UnixMs refresh_at = 0;  // the next try; 0: none is planned
    std::optional<RefreshClaim> claim;
    bool uncertain = false;    // the last try may have used the refresh token up
    bool needs_login = false;  // the refresh token is refused
    bool unauthorized = false; // the provider refuses the access token of this generation
    unsigned failures = 0;     // tries in a row that brought nothing
    unsigned fruitless = 0;    // new tokens in a row that the provider refused at once
    std::uint64_t refreshes = 0;
    UnixMs last_refresh_at = 0;
    std::string last_refresh;  // its result in words
    std::string problem;       // empty: none

    AccountUse use;       // as an answer told it last
    UnixMs use_at = 0;    // 0: never
    UnixMs held_until = 0;  // a window of it is used up until then
    std::string held_why;
    std::vector<FamilyHold> family_holds;  // one of each family
    unsigned headroom = 100;               // headroom_of() `use`, as published last; not in the record

    Account copy() const;
};

enum class LoginState {
    kOk,
    kRefreshing,
    kUncertain,   // a refresh was sent and its answer never came
    kNeedsLogin,  // the login is dead
};
LoginState state_of(const Account& account);

// JSON. Whoever has it wipes it.
std::string to_record(const Account& account);

// An error says what is wrong with the record, and nothing of what is in it.
Result<Account> from_record(std::string_view record);

}  // namespace balancer::controlplane
