// Who holds the logins: begins and finishes them, refreshes their tokens, and tells when what may be published has changed.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "balancer/v1/config.pb.h"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "controlplane/oauth/account_book.hpp"
#include "controlplane/oauth/login_url.hpp"
#include "controlplane/oauth/oauth_settings.hpp"
#include "controlplane/oauth/pending_logins.hpp"
#include "controlplane/oauth/post_folder.hpp"
#include "controlplane/oauth/post_process.hpp"
#include "controlplane/oauth/refresh.hpp"
#include "controlplane/secrets/memory_sealed_store.hpp"

namespace balancer::controlplane {

// What a refresh is about to do. A test stops the process there.
enum class CustodyStep { kClaim, kPost, kKeep, kPublish };

struct LoginStarted {
    std::string url;
    std::string state;
    std::string redirect_uri;
    UnixMs expires_at = 0;
};

// Lives on the control plane's loop; the io_context, the log and the store outlive it. docs/decisions/0018-oauth-custody.md.
class Custody {
  public:
    struct Options {
        std::function<void(const std::string& cause)> on_change{};  // accounts() or credentials have changed
        std::function<void(CustodyStep)> before{};
        std::function<UnixMs()> clock{unix_now};
        RandomBytes random{};  // empty: OpenSSL's
        // Who posts the refresh tokens of logins that are kept on disk, and where he leaves the answer. Without a program it is
        // this process, as it always is for logins that are in memory only: they die with it anyway.
        PostProgram post_program{};
        std::filesystem::path post_folder{};
        Milliseconds save_again{5'000};  // what the disk did not take; ever longer, up to five minutes
    };

    // Called once, on the loop. The account is valid during the call.
    using Done = std::function<void(Result<const Account*>)>;

    // `store` null: nothing outlives the process.
    Custody(boost::asio::io_context& context, Log& log, SealedStore* store, Options options);

    // Reads the logins at the first call. Moves them when `persist` has changed since.
    void configure(OAuthSettings settings);
    void stop();

    // `account` empty: named by the token's profile. `host`: see redirect_uri_for.
    Result<LoginStarted> begin_login(LoginWay way, std::string account, std::string_view host);

    // What came back. `account` not empty: that name rather than the one said at the beginning.
    void finish_login(PastedCode pasted, std::string account, Done done);

    // The provider sent an error back instead of a code. An error: no login of that state is under way.
    Result<void> abandon_login(std::string_view state);

    // Tokens of another program, which must not use them any more. An error: such an account is there, and alive.
    Result<const Account*> import_account(std::string name, TokenGrant grant);

    // kAsked or kByHand. is_not_now(error): nothing was posted, since one is under way, or the state of the login is against it.
    void refresh(const std::string& name, RefreshCause cause, Done done);

    // A data plane was answered 401 with that generation of the account's access token.
    void unauthorized(const std::string& name, std::uint64_t generation);

    // An answer for `model`, as it was sent, told how much of its windows the account has used.
    void used(const std::string& name, AccountUse use, std::string_view model);

    // Somebody says that its windows are not used up, whatever an answer has told.
    void lift_holds(const std::string& name);

    // Empty: all, and those whose records cannot be read. How many there were. A refresh under way ends without effect.
    Result<unsigned> forget(const std::string& name);

    // By name; valid until the next call that changes something.
    std::vector<const Account*> accounts() const;
    const Account* find(std::string_view name) const;

    // When it is going to be refreshed by itself.
    std::optional<UnixMs> refresh_due(const Account& account) const;

    // The access tokens that data planes may send, of the accounts that `wanted` says yes to.
    void add_credentials(
        v1::CredentialSection& section, const std::function<bool(const std::string& name)>& wanted
    ) const;

    const OAuthSettings& settings() const { return settings_; }
    std::vector<std::string> problems() const;  // records that cannot be read
    bool is_durable() const { return durable_ != nullptr && settings_.persist; }

  private:
    boost::asio::awaitable<void> exchange(PendingLogin login, std::string code, std::string account, Done done);
    boost::asio::awaitable<void> post_refresh(
        std::string name, std::string attempt, OpenFile lock, RefreshCause cause, Done done
    );
    boost::asio::awaitable<TokenOutcome> post_here(const Account& account);
    boost::asio::awaitable<TokenOutcome> post_apart(const Account& account, OpenFile lock);
    boost::asio::awaitable<void> wait_for_post(std::string name, std::string attempt);
    TokenOutcome left_behind(const Account& account) const;
    Result<void> begin_refresh(const std::string& name, RefreshCause cause, Done done);
    void finish_refresh(const std::string& name, const std::string& attempt, RefreshCause cause, TokenOutcome outcome);
    void recover(AccountBook::Entry& entry);
    void settle(AccountBook::Entry& entry, RefreshCause cause, TokenOutcome outcome);
    void drop_used_answers();
    Result<const Account*> keep_login(std::string name, TokenGrant grant, UnixMs asked_at);
    std::string name_for(const std::string& wanted, const TokenGrant& grant) const;
    void spawn(boost::asio::awaitable<void> work, Done done);
    void before(CustodyStep step) const;
    void changed(const std::string& cause);
    bool hold_account(Account& account);
    bool hold_family(Account& account, std::string_view model);
    bool weigh(Account& account) const;
    void log_refresh(const Account& account, RefreshCause cause, bool was_dead);
    void note_not_kept(const std::string& name, const Error& error);
    void save_rest();
    std::string why_unusable(const Account& account) const;
    void arm();
    void on_timer();
    bool adopt_unsaved(AccountBook::Entry& entry) const;
    void end_with_tokens(UnixMs now);
    double chance();

    boost::asio::io_context& context_;
    Log& log_;
    SealedStore* durable_;
    MemorySealedStore memory_;
    const Options options_;
    OAuthSettings settings_;
    AccountBook book_;
    PostFolder posts_;
    PendingLogins logins_;
    boost::asio::steady_timer timer_;
    SteadyTime save_at_{};         // when what the disk did not take is tried again
    Milliseconds save_wait_{0};    // since the last try; 0: all is on disk
    std::mt19937_64 random_{std::random_device{}()};
    std::string read_problem_;  // empty: the logins could be read
    // Of those who have logged out: their numbers are not given again, which late reports may still name.
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>, std::less<>> last_numbers_;  // generation, trust
    bool loaded_ = false;
    bool stopped_ = false;
};

// See Custody::refresh.
bool is_not_now(const Error& error);

}  // namespace balancer::controlplane
