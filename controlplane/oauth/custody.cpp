#include "controlplane/oauth/custody.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/file.hpp"
#include "controlplane/oauth/headroom.hpp"

namespace balancer::controlplane {
namespace {

// Clocks are set and machines sleep: nothing is waited for longer without a look at the time.
constexpr Milliseconds kLookMax{30'000};
constexpr Milliseconds kSaveAgainMax{300'000};
// The longest window is a week.
constexpr Milliseconds kHoldMax{8LL * 86'400'000};

constexpr std::size_t kFamilyHoldsMax = 16;
constexpr std::size_t kLastNumbersMax = 1024;

std::string window_words(const std::string& claim) {
    if (claim == "five_hour") return "5-hour";
    if (claim == "seven_day") return "7-day";
    return claim.empty() ? "usage" : claim;
}

// "opus" of "seven_day_opus", and nothing of windows that are of all models. Names of windows are known from observation only
// (docs/configuration.md): what is no part of the model's own name is no family.
std::string_view family_of(std::string_view claim, std::string_view model) {
    for (std::string_view window : {"five_hour_", "seven_day_"}) {
        if (!claim.starts_with(window)) continue;
        std::string_view family = claim.substr(window.size());
        if (!family.empty() && model.find(family) != model.npos) return family;
    }
    return {};
}

void take_windows(Account& account, const Account& told) {
    account.use = told.use;
    account.use_at = told.use_at;
    account.held_until = told.held_until;
    account.held_why = told.held_why;
    account.family_holds = told.family_holds;
    account.headroom = told.headroom;
}

std::string family_words(const std::string& family) {
    return fmt::format("its window for {} models is used up", family);
}

}  // namespace

Custody::Custody(boost::asio::io_context& context, Log& log, SealedStore* store, Options options)
    : context_(context),
      log_(log),
      durable_(store),
      options_(std::move(options)),
      book_(store != nullptr ? *store : static_cast<SealedStore&>(memory_)),
      posts_(options_.post_folder),
      logins_(options_.random ? options_.random : RandomBytes(random_bytes)),
      timer_(context) {}

void Custody::configure(OAuthSettings settings) {
    settings_ = std::move(settings);
    SealedStore& wanted = is_durable() ? *durable_ : static_cast<SealedStore&>(memory_);
    // Also where they are to be in memory only from now on: they go over.
    if (!loaded_ && durable_ != nullptr) {
        Result<void> read = book_.load();
        if (!read) read_problem_ = "logins cannot be read: " + read.error().text();
        for (const std::string& problem : problems()) log_.emit(LogLevel::kError, LogEvent::kNotice, problem);
        for (auto& [name, entry] : book_.entries()) {
            weigh(entry.account);
            if (entry.account.claim) recover(entry);
        }
        drop_used_answers();
    }
    loaded_ = true;
    if (Result<void> moved_over = book_.move_to(wanted); !moved_over) {
        log_.emit(
            LogLevel::kError,
            LogEvent::kNotice,
            "oauth.enable_persistence has changed, and not all logins could be moved; those stay where they are, and it is "
            "tried again, ever less often: " + moved_over.error().text()
        );
    }
    arm();
}

std::vector<std::string> Custody::problems() const {
    std::vector<std::string> problems = book_.problems();
    if (!read_problem_.empty()) problems.push_back(read_problem_);
    return problems;
}

void Custody::stop() {
    stopped_ = true;
    timer_.cancel();
}

Result<unsigned> Custody::forget(const std::string& name) {
    unsigned forgotten = 0;
    Result<void> failed;
    for (const std::string& each : book_.names()) {
        if (!name.empty() && each != name) continue;
        if (const Account* account = find(each)) {
            if (last_numbers_.size() >= kLastNumbersMax) last_numbers_.clear();
            last_numbers_.insert_or_assign(each, std::pair(account->generation, account->trust));
        }
        Result<bool> erased = book_.erase(each);
        if (!erased) {
            failed = erased.error();
            continue;
        }
        ++forgotten;
        log_.emit(LogLevel::kInfo, LogEvent::kAccountForgotten, fmt::format("account '{}' is logged out", each), {{"account", each}});
    }
    if (forgotten > 0) changed("logout");
    if (!failed) return failed.error();
    return forgotten;
}

// What waits for the disk is in use from when the old token does not serve any more. True: with another token.
bool Custody::adopt_unsaved(AccountBook::Entry& entry) const {
    if (!entry.unsaved) return false;
    if (is_usable(entry.account, options_.clock()) && !entry.account.unauthorized) return false;
    bool other = entry.unsaved->generation != entry.account.generation;
    entry.account = entry.unsaved->copy();
    return other;
}

void Custody::unauthorized(const std::string& name, std::uint64_t generation) {
    AccountBook::Entry* entry = book_.find(name);
    if (entry == nullptr || !note_unauthorized(entry->account, generation)) return;
    if (adopt_unsaved(*entry)) return changed(fmt::format("account {} has a new token", name));
    begin_refresh(name, RefreshCause::kUnauthorized, {});
    arm();
    // A dead login's last token is dead now, too.
    if (!is_usable(entry->account, options_.clock())) changed(fmt::format("account {} is refused", name));
}

void Custody::used(const std::string& name, AccountUse use, std::string_view model) {
    AccountBook::Entry* entry = book_.find(name);
    if (entry == nullptr) return;
    Account& account = entry->account;
    account.use_at = options_.clock();
    account.use = std::move(use);
    bool weighed = weigh(account);
    bool rejected = account.use.status == "rejected" && account.use.reset > account.use_at &&
                    account.use.reset < account.use_at + kHoldMax.count();
    bool held = rejected && (hold_account(account) || hold_family(account, model));
    // Kept, so that a restarted control plane knows it; without hurry, so not again and again when the disk fails.
    if (held && !account.claim && !entry->unsaved) {
        if (Result<void> kept = book_.put(account.copy()); !kept) note_not_kept(name, kept.error());
    } else if (entry->unsaved) {
        take_windows(*entry->unsaved, account);
    }
    if (held) return changed(fmt::format("account {} is used up", name));
    if (weighed) changed(fmt::format("account {} has another part of its windows left", name));
}

void Custody::lift_holds(const std::string& name) {
    AccountBook::Entry* entry = book_.find(name);
    if (entry == nullptr || (entry->account.held_until == 0 && entry->account.family_holds.empty())) return;
    for (Account* account : {&entry->account, entry->unsaved ? &*entry->unsaved : nullptr}) {
        if (account == nullptr) continue;
        account->held_until = 0;
        account->held_why.clear();
        account->family_holds.clear();
    }
    if (!entry->account.claim && !entry->unsaved) {
        if (Result<void> kept = book_.put(entry->account.copy()); !kept) note_not_kept(name, kept.error());
    }
    changed(fmt::format("account {} is held no more", name));
}

// True: until later than so far. A late answer of a request that began before does not end it.
bool Custody::hold_account(Account& account) {
    const std::string& claim = account.use.claim;
    bool whole = claim.empty() || claim == "five_hour" || claim == "seven_day";
    if (!whole || account.use.reset <= account.held_until) return false;
    account.held_until = account.use.reset;
    account.held_why = fmt::format("its {} window is used up", window_words(claim));
    log_.emit(
        LogLevel::kWarning,
        LogEvent::kAccountHeld,
        fmt::format("account '{}': {}; nothing is sent with it until its reset", account.name, account.held_why),
        {{"account", account.name}, {"until_ms", account.held_until}, {"claim", claim}}
    );
    return true;
}

// As above, of the models in the family that `model` is of.
bool Custody::hold_family(Account& account, std::string_view model) {
    std::string family(family_of(account.use.claim, model));
    if (family.empty()) return false;
    std::vector<FamilyHold>& holds = account.family_holds;
    std::erase_if(holds, [&](const FamilyHold& one) { return one.until <= account.use_at; });
    auto known = std::find_if(holds.begin(), holds.end(), [&](const FamilyHold& one) { return one.family == family; });
    if (known == holds.end()) {
        if (holds.size() >= kFamilyHoldsMax) return false;
        known = holds.insert(holds.end(), FamilyHold{family, 0});
    }
    if (account.use.reset <= known->until) return false;
    known->until = account.use.reset;
    log_.emit(
        LogLevel::kWarning,
        LogEvent::kAccountHeld,
        fmt::format(
            "account '{}': {}; none of them is asked of it until its reset, other models are", account.name, family_words(family)
        ),
        {{"account", account.name}, {"until_ms", known->until}, {"claim", account.use.claim}}
    );
    return true;
}

// True: it has another step of its windows left than was published.
bool Custody::weigh(Account& account) const {
    unsigned headroom = headroom_of(account.use, options_.clock(), account.headroom);
    return std::exchange(account.headroom, headroom) != headroom;
}

std::vector<const Account*> Custody::accounts() const {
    std::vector<const Account*> out;
    for (const auto& [name, entry] : book_.entries()) out.push_back(&entry.account);
    return out;
}

const Account* Custody::find(std::string_view name) const {
    const AccountBook::Entry* entry = book_.find(name);
    return entry == nullptr ? nullptr : &entry->account;
}

// Of a token that is not to be sent, though nobody has to log in again.
std::string Custody::why_unusable(const Account& account) const {
    std::string words = "its access token has ended";
    if (account.claim) return words + ", and a refresh is under way";
    if (account.failures > 0) words += ", and the last refresh " + account.last_refresh;
    if (std::optional<UnixMs> next = refresh_due(account)) {
        std::tm at = fmt::gmtime(static_cast<std::time_t>(*next / 1000));
        return words + fmt::format("; the next is tried at {:%H:%M:%S} UTC", at);
    }
    return words + fmt::format(
        "; none is tried by itself, since enable_auto_refresh is off: `balancerctl oauth refresh {}`", account.name
    );
}

void Custody::add_credentials(
    v1::CredentialSection& section, const std::function<bool(const std::string& name)>& wanted
) const {
    UnixMs now = options_.clock();
    for (const auto& [name, entry] : book_.entries()) {
        if (!wanted(name)) continue;
        const Account& account = entry.account;
        v1::Credential& out = *section.add_credentials();
        out.set_ref("oauth/" + name);
        out.set_generation(account.generation);
        out.set_expires_at_ms(account.expires_at - kExpiryMargin.count());
        out.set_state(account.needs_login ? v1::Credential::NEEDS_LOGIN : v1::Credential::OK);
        const bool usable = is_usable(account, now);
        if (usable) {
            // Until its end the last token of a dead login is as good as any.
            out.set_state(v1::Credential::OK);
            out.set_header_name("authorization");
            out.set_header_value("Bearer " + std::string(account.access_token.view()));
        } else if (!account.needs_login) {
            out.set_state(v1::Credential::REVOKED);
            out.set_held_why(why_unusable(account));
        } else {
            out.set_held_why(fmt::format("its account must be logged in again: balancerctl oauth login {}", name));
        }
        if (usable && account.held_until > now) {
            out.set_held_until_ms(account.held_until);
            out.set_held_why(account.held_why);
        }
        for (const FamilyHold& held : account.family_holds) {
            if (held.until <= now) continue;
            v1::ModelHold& hold = *out.add_model_holds();
            hold.set_family(held.family);
            hold.set_until_ms(held.until);
            hold.set_why(family_words(held.family));
        }
        out.set_headroom_percent(account.headroom);
    }
}

void Custody::before(CustodyStep step) const {
    if (options_.before) options_.before(step);
}

void Custody::changed(const std::string& cause) {
    before(CustodyStep::kPublish);
    if (options_.on_change) options_.on_change(cause);
}

// What became of a put() that went wrong.
void Custody::note_not_kept(const std::string& name, const Error& error) {
    if (is(error, SealedErrc::kConflict)) {
        log_.emit(
            LogLevel::kWarning,
            LogEvent::kNotice,
            fmt::format("account '{}' was changed by somebody else meanwhile; what stands in its record counts", name),
            {{"account", name}}
        );
        if (AccountBook::Entry* entry = book_.find(name); entry != nullptr && entry->account.claim) recover(*entry);
        changed(fmt::format("account {} was changed by somebody else", name));
        return arm();
    }
    log_.emit(
        LogLevel::kError,
        LogEvent::kAccountRefreshFailed,
        fmt::format(
            "account '{}' could not be kept on disk and is in memory only; tried again, ever less often: {}", name, error.text()
        ),
        {{"account", name}}
    );
    arm();
}

void Custody::arm() {
    if (stopped_) return;
    UnixMs now = options_.clock();
    std::optional<UnixMs> next;
    for (const auto& [name, entry] : book_.entries()) {
        std::optional<UnixMs> due;
        if (!entry.unsaved) {
            due = refresh_due(entry.account);
            if (!due) due = login_end(entry.account);
        } else if (entry.unsaved->generation != entry.account.generation) {
            due = entry.account.expires_at - kExpiryMargin.count();
        }
        if (due && (!next || *due < *next)) next = due;
    }
    Milliseconds wait = kLookMax;
    for (const auto& [name, entry] : book_.entries()) {
        if (headroom_of(entry.account.use, now, entry.account.headroom) != entry.account.headroom) next = now;
    }
    if (next) wait = std::clamp(Milliseconds(*next - now), Milliseconds(1), kLookMax);
    if (!book_.has_unsaved() && !book_.is_moving()) {
        save_wait_ = Milliseconds(0);
    } else {
        if (save_wait_.count() == 0) {
            save_wait_ = options_.save_again;
            save_at_ = steady_now() + save_wait_;
        }
        wait = std::clamp(std::chrono::ceil<Milliseconds>(save_at_ - steady_now()), Milliseconds(1), wait);
    }
    timer_.expires_after(wait);
    timer_.async_wait([this](ErrorCode ec) {
        if (!ec) on_timer();
    });
}

// A disk that is full for long, or a state directory that another control plane has taken, is not asked all the time.
void Custody::save_rest() {
    bool saved = false;
    if (save_wait_.count() > 0 && steady_now() >= save_at_) {
        save_wait_ = std::min(save_wait_ * 2, kSaveAgainMax);
        save_at_ = steady_now() + save_wait_;
        saved = book_.save_rest() > 0;
        // Its failure has been told, and nobody sees where a login is.
        if (book_.is_moving()) (void)book_.move_rest();
        drop_used_answers();
    }
    bool adopted = false;
    for (auto& [name, entry] : book_.entries()) adopted = adopt_unsaved(entry) || adopted;
    if (saved || adopted) changed("logins are kept");
}

void Custody::on_timer() {
    save_rest();
    // Windows that have begun anew meanwhile.
    bool weighed = false;
    for (auto& [name, entry] : book_.entries()) weighed = weigh(entry.account) || weighed;
    if (weighed) changed("windows of accounts have begun anew");
    UnixMs now = options_.clock();
    end_with_tokens(now);
    if (settings_.auto_refresh) {
        std::vector<std::string> due;
        for (const auto& [name, entry] : book_.entries()) {
            std::optional<UnixMs> at = next_refresh(entry.account);
            if (at && *at <= now && !entry.unsaved) due.push_back(name);
        }
        for (const std::string& name : due) begin_refresh(name, RefreshCause::kDue, {});
    }
    arm();
}

// Logins without a refresh token.
void Custody::end_with_tokens(UnixMs now) {
    for (auto& [name, entry] : book_.entries()) {
        std::optional<UnixMs> end = login_end(entry.account);
        if (!end || now < *end || entry.unsaved) continue;
        Account ended = entry.account.copy();
        end_login(ended);
        log_refresh(ended, RefreshCause::kDue, false);
        if (Result<void> kept = book_.put(std::move(ended)); !kept) note_not_kept(name, kept.error());
        changed(fmt::format("login of {} is over", name));
    }
}

std::optional<UnixMs> Custody::refresh_due(const Account& account) const {
    return settings_.auto_refresh ? next_refresh(account) : std::nullopt;
}

double Custody::chance() {
    return std::uniform_real_distribution<double>(0, 1)(random_);
}

}  // namespace balancer::controlplane
