#include "controlplane/oauth/custody.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/file.hpp"

namespace balancer::controlplane {
namespace {

// Clocks are set and machines sleep: nothing is waited for longer without a look at the time.
constexpr Milliseconds kLookMax{30'000};
constexpr Milliseconds kSaveAgain{5'000};
// The longest window is a week.
constexpr Milliseconds kHoldMax{8LL * 86'400'000};

std::string window_words(const std::string& claim) {
    if (claim == "five_hour") return "5-hour";
    if (claim == "seven_day") return "7-day";
    return claim.empty() ? "usage" : claim;
}

}  // namespace

Custody::Custody(boost::asio::io_context& context, Log& log, SealedStore* store, Options options)
    : context_(context),
      log_(log),
      durable_(store),
      options_(std::move(options)),
      book_(store != nullptr ? *store : static_cast<SealedStore&>(memory_)),
      logins_(options_.random ? options_.random : RandomBytes(random_bytes)),
      timer_(context) {}

void Custody::configure(OAuthSettings settings) {
    settings_ = std::move(settings);
    SealedStore& wanted = is_durable() ? *durable_ : static_cast<SealedStore&>(memory_);
    // Also where they are to be in memory only from now on: they go over.
    if (!loaded_ && durable_ != nullptr) {
        Result<std::vector<std::string>> read = book_.load();
        problems_ = read ? *std::move(read) : std::vector<std::string>{"logins cannot be read: " + read.error().text()};
        for (const std::string& problem : problems_) log_.emit(LogLevel::kError, LogEvent::kNotice, problem);
        for (auto& [name, entry] : book_.entries()) {
            if (!entry.account.claim) continue;
            Account recovered = entry.account.copy();
            recover_claim(recovered, options_.clock());
            log_refresh(recovered, RefreshCause::kDue, false);
            if (Result<void> kept = book_.put(std::move(recovered)); !kept) note_unsaved(name, kept.error());
        }
    }
    loaded_ = true;
    if (Result<void> moved_over = book_.move_to(wanted); !moved_over) {
        log_.emit(
            LogLevel::kError,
            LogEvent::kNotice,
            "the logins could not be moved after oauth.enable_persistence has changed: " + moved_over.error().text()
        );
    }
    arm();
}

void Custody::stop() {
    stopped_ = true;
    timer_.cancel();
}

Result<unsigned> Custody::forget(const std::string& name) {
    std::vector<std::string> names;
    for (const auto& [known, entry] : book_.entries()) {
        if (name.empty() || known == name) names.push_back(known);
    }
    unsigned forgotten = 0;
    Result<void> failed;
    for (const std::string& each : names) {
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

void Custody::unauthorized(const std::string& name, std::uint64_t generation) {
    AccountBook::Entry* entry = book_.find(name);
    if (entry == nullptr || !note_unauthorized(entry->account, generation)) return;
    begin_refresh(name, RefreshCause::kUnauthorized, {});
    arm();
    // A dead login's last token is dead now, too.
    if (!is_usable(entry->account, options_.clock())) changed(fmt::format("account {} is refused", name));
}

void Custody::used(const std::string& name, AccountUse use) {
    AccountBook::Entry* entry = book_.find(name);
    if (entry == nullptr) return;
    Account& account = entry->account;
    account.use_at = options_.clock();
    bool rejected = use.status == "rejected" && use.reset > account.use_at &&
                    use.reset < account.use_at + kHoldMax.count();
    bool whole = rejected && (use.claim.empty() || use.claim == "five_hour" || use.claim == "seven_day");
    account.use = std::move(use);
    UnixMs held = whole ? account.use.reset : 0;
    // A late answer of a request that began before does not end it.
    if (held <= account.held_until) return;
    account.held_until = held;
    account.held_why = fmt::format("its {} window is used up", window_words(account.use.claim));
    log_.emit(
        LogLevel::kWarning,
        LogEvent::kAccountHeld,
        fmt::format("account '{}': {}; nothing is sent with it until its reset", name, account.held_why),
        {{"account", name}, {"until_ms", held}, {"claim", account.use.claim}}
    );
    // Kept, so that a restarted control plane knows it; without hurry, so not again and again when the disk fails.
    if (!account.claim && !entry->unsaved) {
        if (Result<void> kept = book_.put(account.copy()); !kept) note_unsaved(name, kept.error());
    }
    changed(fmt::format("account {} is used up", name));
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

void Custody::add_credentials(v1::CredentialSection& section) const {
    UnixMs now = options_.clock();
    for (const auto& [name, entry] : book_.entries()) {
        const Account& account = entry.account;
        v1::Credential& out = *section.add_credentials();
        out.set_ref("oauth/" + name);
        out.set_generation(account.generation);
        out.set_expires_at_ms(account.expires_at - kExpiryMargin.count());
        out.set_state(account.needs_login ? v1::Credential::NEEDS_LOGIN : v1::Credential::OK);
        if (is_usable(account, now)) {
            // Until its end the last token of a dead login is as good as any.
            out.set_state(v1::Credential::OK);
            out.set_header_name("authorization");
            out.set_header_value("Bearer " + std::string(account.access_token.view()));
        } else if (!account.needs_login) {
            out.set_state(v1::Credential::REVOKED);
        }
        if (account.held_until > now) {
            out.set_held_until_ms(account.held_until);
            out.set_held_why(account.held_why);
        }
    }
}

void Custody::before(CustodyStep step) const {
    if (options_.before) options_.before(step);
}

void Custody::changed(const std::string& cause) {
    before(CustodyStep::kPublish);
    if (options_.on_change) options_.on_change(cause);
}

void Custody::note_unsaved(const std::string& name, const Error& error) {
    log_.emit(
        LogLevel::kError,
        LogEvent::kAccountRefreshFailed,
        fmt::format(
            "account '{}' could not be kept on disk and is in memory only; tried again every few seconds: {}", name, error.text()
        ),
        {{"account", name}}
    );
    arm();
}

void Custody::arm() {
    if (stopped_) return;
    UnixMs now = options_.clock();
    std::optional<UnixMs> next;
    if (settings_.auto_refresh) {
        for (const auto& [name, entry] : book_.entries()) {
            std::optional<UnixMs> due = next_refresh(entry.account);
            if (due && (!next || *due < *next)) next = due;
        }
    }
    Milliseconds wait = kLookMax;
    if (next) wait = std::clamp(Milliseconds(*next - now), Milliseconds(1), kLookMax);
    if (book_.has_unsaved()) wait = std::min(wait, kSaveAgain);
    timer_.expires_after(wait);
    timer_.async_wait([this](ErrorCode ec) {
        if (!ec) on_timer();
    });
}

void Custody::on_timer() {
    if (book_.has_unsaved()) {
        book_.save_rest();
        changed("logins are kept");
    }
    UnixMs now = options_.clock();
    if (settings_.auto_refresh) {
        std::vector<std::string> due;
        for (const auto& [name, entry] : book_.entries()) {
            std::optional<UnixMs> at = next_refresh(entry.account);
            if (at && *at <= now) due.push_back(name);
        }
        for (const std::string& name : due) begin_refresh(name, RefreshCause::kDue, {});
    }
    arm();
}

double Custody::chance() {
    return std::uniform_real_distribution<double>(0, 1)(random_);
}

}  // namespace balancer::controlplane
