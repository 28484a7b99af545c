// What the custody waits for: the token endpoint, and the processes that post.
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <set>
#include <tuple>

#include "base/aead.hpp"
#include "base/file.hpp"
#include "base/net.hpp"
#include "controlplane/oauth/custody.hpp"

namespace balancer::controlplane {
namespace {

Error unknown_account(const std::string& name) {
    return invalid(fmt::format("there is no account '{}'; `balancerctl oauth status` names them", name));
}

std::string_view name_of(RefreshCause cause) {
    switch (cause) {
        case RefreshCause::kDue: return "due";
        case RefreshCause::kUnauthorized: return "unauthorized";
        case RefreshCause::kAsked: return "asked";
        case RefreshCause::kByHand: return "by hand";
        case RefreshCause::kFound: return "found at the start";
    }
    return "";
}

Error not_now(std::string why) {
    return Error{make_error_code(boost::system::errc::operation_in_progress), std::move(why)};
}

void tell(const Custody::Done& done, Result<const Account*> result) {
    if (done) done(std::move(result));
}

// A process that posts is not waited for longer than this, beyond the timeout of its request.
constexpr Milliseconds kPostSpare{30'000};
constexpr Milliseconds kPostLook{100};

}  // namespace

Result<LoginStarted> Custody::begin_login(LoginWay way, std::string account, std::string_view host) {
    if (!account.empty() && !is_account_name(account)) return invalid(kAccountNameRule);
    if (Result<void> room = book_.room_for(account); !room) return room.error();
    Result<PendingLogin> login = logins_.begin(way, std::move(account), redirect_uri_for(settings_, host), steady_now());
    if (!login) return login.error();
    LoginStarted started;
    started.url = authorize_url(settings_, *login);
    started.state = login->state;
    started.redirect_uri = login->redirect_uri;
    started.expires_at = options_.clock() + PendingLogins::kValid.count();
    return started;
}

void Custody::finish_login(PastedCode pasted, std::string account, Done done) {
    if (!account.empty() && !is_account_name(account)) return tell(done, invalid(kAccountNameRule));
    Result<PendingLogin> login = logins_.take(pasted.state, steady_now());
    if (!login) return tell(done, login.error());
    // A code works once: not after it has been exchanged for tokens that nobody keeps.
    if (Result<void> room = book_.room_for(account.empty() ? login->account : account); !room) return tell(done, room.error());
    spawn(exchange(*std::move(login), std::move(pasted.code), std::move(account), done), done);
}

Result<void> Custody::abandon_login(std::string_view state) {
    Result<PendingLogin> login = logins_.take(state, steady_now());
    if (!login) return login.error();
    return {};
}

net::awaitable<void> Custody::exchange(PendingLogin login, std::string code, std::string account, Done done) {
    UnixMs asked_at = options_.clock();
    bool sent = false;
    Result<HttpResponse> answer = co_await fetch(exchange_request(settings_, login, code), &sent);
    TokenOutcome outcome = judge_token_answer(answer, sent, code);
    if (answer) wipe(answer->body);
    if (outcome.result != TokenResult::kIssued) {
        co_return tell(done, invalid(fmt::format("the login failed: {}; begin again", outcome.words)));
    }
    if (account.empty()) account = login.account;
    tell(done, keep_login(std::move(account), std::move(outcome.grant), asked_at));
}

// As wanted; else the account that this login renews; else what the profile says.
std::string Custody::name_for(const std::string& wanted, const TokenGrant& grant) const {
    if (!wanted.empty()) return wanted;
    for (const auto& [name, entry] : book_.entries()) {
        if (!grant.account_uuid.empty() && entry.account.account_uuid == grant.account_uuid) return name;
    }
    if (is_account_name(grant.email)) return grant.email;
    for (unsigned number = 1;; ++number) {
        std::string name = fmt::format("account-{}", number);
        if (book_.find(name) == nullptr) return name;
    }
}

Result<const Account*> Custody::keep_login(std::string name, TokenGrant grant, UnixMs asked_at) {
    name = name_for(name, grant);
    const AccountBook::Entry* known = book_.find(name);
    Account account;
    account.name = name;
    if (known != nullptr) {
        // Numbers go on: data planes and verdicts of the old login must not be taken for the new one's.
        account.generation = known->account.generation;
        account.trust = known->account.trust;
    } else if (auto last = last_numbers_.find(name); last != last_numbers_.end()) {
        std::tie(account.generation, account.trust) = last->second;
    }
    ++account.trust;
    take_grant(account, std::move(grant), asked_at, chance());
    account.logged_in_at = options_.clock();
    Result<void> kept = book_.put(std::move(account));
    const AccountBook::Entry* entry = book_.find(name);
    if (entry == nullptr) return kept.error();
    if (!kept) note_not_kept(name, kept.error());
    if (!kept && is(kept.error(), SealedErrc::kConflict)) return kept.error();
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kAccountLoggedIn,
        fmt::format("account '{}' is logged in", name),
        {{"account", name}, {"expires_at_ms", entry->account.expires_at}, {"durable", is_durable() && kept.has_value()}}
    );
    changed(fmt::format("login of {}", name));
    arm();
    return &entry->account;
}

Result<const Account*> Custody::import_account(std::string name, TokenGrant grant) {
    if (!is_account_name(name)) return invalid(kAccountNameRule);
    const std::string_view refresh = grant.refresh_token.view();
    if (!is_token(grant.access_token.view())) return invalid("there is no access token that could be sent");
    if (!refresh.empty() && !is_token(refresh)) return invalid("its refresh token is none");
    // Ours has rotated since, so the other program's is spent: one that is posted twice ends the login.
    const AccountBook::Entry* known = book_.find(name);
    if (known != nullptr && !known->account.needs_login && !known->account.refresh_token.empty()) {
        return invalid(
            fmt::format("account '{0}' is logged in already; `balancerctl oauth logout {0}` first to replace it", name)
        );
    }
    return keep_login(std::move(name), std::move(grant), options_.clock());
}

void Custody::refresh(const std::string& name, RefreshCause cause, Done done) {
    if (book_.find(name) == nullptr) return tell(done, unknown_account(name));
    Result<void> begun = begin_refresh(name, cause, done);
    if (begun) return;
    tell(done, Error{begun.error().code, fmt::format("account '{}' is not refreshed: {}", name, begun.error().text())});
}

bool is_not_now(const Error& error) {
    return error.code == boost::system::errc::operation_in_progress;
}

// Claims and posts. An error: it does not, and why; `done` is not called then.
Result<void> Custody::begin_refresh(const std::string& name, RefreshCause cause, Done done) {
    AccountBook::Entry* entry = book_.find(name);
    if (entry == nullptr) return not_now("it is logged out");
    if (entry->unsaved) return not_now("its last token is not on disk yet");
    UnixMs now = options_.clock();
    if (std::string why_not = no_refresh_now(entry->account, cause, now); !why_not.empty()) return not_now(std::move(why_not));
    before(CustodyStep::kClaim);
    std::string attempt = random_hex(8);
    Result<OpenFile> lock = OpenFile();
    bool apart = book_.is_in(*entry, durable_) && !options_.post_program.path.empty();
    if (apart) lock = posts_.begin(attempt);
    Result<void> kept;
    if (lock) {
        Account claimed = entry->account.copy();
        claim_refresh(claimed, attempt, now, apart ? random_key() : SecretBytes());
        kept = book_.put(std::move(claimed));
    } else {
        kept = lock.error();
    }
    if (!kept) {
        if (is(kept.error(), SealedErrc::kConflict)) {
            note_not_kept(name, kept.error());
            return not_now(kept.error().text());
        }
        // Without the claim nothing is posted, and nothing has changed.
        entry->unsaved.reset();
        entry->account.refresh_at = now + kUncertainGrace.count();
        drop_used_answers();
        log_.emit(
            LogLevel::kError,
            LogEvent::kAccountRefreshFailed,
            fmt::format("account '{}' is not refreshed, since that could not be noted on disk: {}", name, kept.error().text()),
            {{"account", name}}
        );
        return invalid(kept.error().text());
    }
    spawn(post_refresh(name, std::move(attempt), *std::move(lock), cause, done), done);
    return {};
}

net::awaitable<void> Custody::post_refresh(
    std::string name, std::string attempt, OpenFile lock, RefreshCause cause, Done done
) {
    before(CustodyStep::kPost);
    // As it was claimed: it may be logged out, or in anew, meanwhile.
    Account claimed;
    if (const Account* account = find(name)) claimed = account->copy();
    if (!claimed.claim || claimed.claim->attempt != attempt) co_return tell(done, unknown_account(name));
    TokenOutcome outcome;
    try {
        if (lock) {
            outcome = co_await post_apart(claimed, std::move(lock));
        } else {
            outcome = co_await post_here(claimed);
        }
    } catch (const std::exception& e) {
        // No memory, no thread: whether it was sent, nobody knows, and the claim must not stay.
        outcome = judge_token_answer(invalid(fmt::format("internal error: {}", e.what())), true, {});
    }
    before(CustodyStep::kKeep);
    finish_refresh(name, attempt, cause, std::move(outcome));
    const Account* account = find(name);
    if (account == nullptr) co_return tell(done, unknown_account(name));
    if (account->failures > 0 || account->needs_login) {
        co_return tell(done, invalid(fmt::format("account '{}': {}", name, account->last_refresh)));
    }
    tell(done, account);
}

net::awaitable<TokenOutcome> Custody::post_here(const Account& account) {
    bool sent = false;
    Result<HttpResponse> answer = co_await fetch(refresh_request(settings_, account.refresh_token), &sent);
    TokenOutcome outcome = judge_token_answer(answer, sent, account.refresh_token.view());
    if (answer) wipe(answer->body);
    co_return outcome;
}

// By a process that outlives this one.
net::awaitable<TokenOutcome> Custody::post_apart(const Account& account, OpenFile lock) {
    PostOrder order;
    order.account = account.name;
    order.attempt = account.claim->attempt;
    order.answer_key = account.claim->answer_key.copy();
    order.folder = posts_.path();
    order.request = refresh_request(settings_, account.refresh_token);
    Result<std::string> direct = co_await run_post_process(options_.post_program, std::move(lock), std::move(order));
    if (!direct) co_return judge_token_answer(direct.error(), false, {});
    std::optional<PostAnswer> answer = open_answer(account.name, *account.claim, *direct);
    if (!answer) co_return left_behind(account);
    TokenOutcome outcome = judge_token_answer(answer->response, answer->sent, account.refresh_token.view());
    if (answer->response) wipe(answer->response->body);
    co_return outcome;
}

// What has become of a claim whose process has ended.
TokenOutcome Custody::left_behind(const Account& account) const {
    PostState state = posts_.look(account.claim->attempt);
    std::optional<PostAnswer> answer;
    if (state == PostState::kAnswered) {
        Result<std::string> sealed = posts_.answer(account.claim->attempt);
        if (sealed) answer = open_answer(account.name, *account.claim, *sealed);
    }
    if (!answer) {
        bool posted = state != PostState::kNotPosted;
        answer = PostAnswer{
            posted,
            invalid(posted ? "whoever posted was stopped before there was an answer" : "it was stopped before it was posted"),
        };
    }
    TokenOutcome outcome = judge_token_answer(answer->response, answer->sent, account.refresh_token.view());
    if (answer->response) wipe(answer->response->body);
    return outcome;
}

// A claim of a control plane that is no more.
void Custody::recover(AccountBook::Entry& entry) {
    const RefreshClaim& claim = *entry.account.claim;
    if (posts_.look(claim.attempt) == PostState::kAtWork) {
        return spawn(wait_for_post(entry.account.name, claim.attempt), {});
    }
    settle(entry, RefreshCause::kFound, left_behind(entry.account));
}

net::awaitable<void> Custody::wait_for_post(std::string name, std::string attempt) {
    SteadyTime until = steady_now() + settings_.timeout + kPostSpare;
    net::steady_timer timer(context_);
    while (posts_.look(attempt) == PostState::kAtWork && steady_now() < until) {
        timer.expires_after(kPostLook);
        co_await timer.async_wait(kNoThrow);
        if (stopped_) co_return;
    }
    const Account* account = find(name);
    bool ours = account != nullptr && account->claim && account->claim->attempt == attempt;
    if (ours) finish_refresh(name, attempt, RefreshCause::kFound, left_behind(*account));
}

void Custody::finish_refresh(
    const std::string& name, const std::string& attempt, RefreshCause cause, TokenOutcome outcome
) {
    AccountBook::Entry* entry = book_.find(name);
    bool ours = entry != nullptr && entry->account.claim && entry->account.claim->attempt == attempt;
    // Logged out, or logged in anew: the answer is about a login that is gone.
    if (!ours) return drop_used_answers();
    if (outcome.result == TokenResult::kInvalidGrant) {
        if (std::optional<Account> stored = book_.read_if_changed(name)) {
            entry->account = *std::move(stored);
            changed(fmt::format("account {} was changed by somebody else", name));
            return arm();
        }
    }
    settle(*entry, cause, std::move(outcome));
    changed(fmt::format("refresh of {}", name));
    drop_used_answers();
    arm();
}

void Custody::settle(AccountBook::Entry& entry, RefreshCause cause, TokenOutcome outcome) {
    bool was_dead = entry.account.needs_login;
    Account next = entry.account.copy();
    settle_refresh(next, std::move(outcome), options_.clock(), chance());
    log_refresh(next, cause, was_dead);
    if (Result<void> kept = book_.put(std::move(next)); !kept) {
        note_not_kept(entry.account.name, kept.error());
        adopt_unsaved(entry);
    }
}

// An answer stays until the login that came of it is on disk. And as long as a record cannot be read, whose claim it may be.
void Custody::drop_used_answers() {
    if (posts_.path().empty() || book_.has_unsaved() || !problems().empty()) return;
    std::set<std::string> wanted;
    for (const auto& [name, entry] : book_.entries()) {
        if (entry.account.claim) wanted.insert(entry.account.claim->attempt);
    }
    posts_.keep_only(wanted);
}

void Custody::log_refresh(const Account& account, RefreshCause cause, bool was_dead) {
    if (account.needs_login) {
        if (was_dead) return;
        log_.emit(
            LogLevel::kError,
            LogEvent::kAccountNeedsLogin,
            fmt::format("account '{}': {}", account.name, account.problem),
            {{"account", account.name}, {"cause", name_of(cause)}, {"access_token_ends_ms", account.expires_at}}
        );
        return;
    }
    if (account.failures > 0) {
        log_.emit(
            LogLevel::kWarning,
            LogEvent::kAccountRefreshFailed,
            fmt::format("account '{}': {}", account.name, account.problem),
            {{"account", account.name},
             {"cause", name_of(cause)},
             {"next_try_ms", account.refresh_at},
             {"access_token_ends_ms", account.expires_at}}
        );
        return;
    }
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kAccountRefreshed,
        fmt::format("account '{}' has a new access token", account.name),
        {{"account", account.name},
         {"cause", name_of(cause)},
         {"generation", account.generation},
         {"expires_at_ms", account.expires_at}}
    );
}

void Custody::spawn(net::awaitable<void> work, Done done) {
    net::co_spawn(context_, std::move(work), [this, done = std::move(done)](const std::exception_ptr& escaped) {
        if (!escaped) return;
        log_.emit(LogLevel::kError, LogEvent::kTaskFailed, "a token request was lost");
        tell(done, invalid("internal error; see the control plane's log"));
    });
}

}  // namespace balancer::controlplane
