#include <fmt/format.h>

#include <algorithm>

#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"
#include "cli/words.hpp"

namespace balancer::cli {
namespace {

// As long as the control plane may wait for the token endpoint, and some.
constexpr Milliseconds kEndpointTimeout{60'000};

Cell state_cell(const v1::AccountView& account, UnixMs now) {
    switch (account.state()) {
        case v1::AccountView::NEEDS_LOGIN: return Cell("needs login", Tone::kBad);
        case v1::AccountView::UNCERTAIN: return Cell("uncertain", Tone::kWarn);
        case v1::AccountView::REFRESHING: return Cell("refreshing", Tone::kPlain);
        default: break;
    }
    if (account.expires_at_ms() <= now) return Cell("expired", Tone::kBad);
    if (account.held_until_ms() > now) return Cell("used up", Tone::kWarn);
    return Cell("ok", Tone::kGood);
}

std::string in_words(UnixMs at, UnixMs now) {
    if (at == 0) return "-";
    return at <= now ? "now" : "in " + duration_words(Milliseconds(at - now));
}

std::string share_words(bool told, double share, UnixMs reset, UnixMs now) {
    if (!told) return "-";
    std::string words = fmt::format("{:.0f}%", share * 100);
    return reset > now ? words + ", " + duration_words(Milliseconds(reset - now)) : words;
}

// Why it failed stands in the account's problem.
Cell refresh_cell(const v1::AccountView& account, UnixMs now) {
    if (account.last_refresh_at_ms() == 0) return Cell("not yet");
    std::string when = ago(account.last_refresh_at_ms(), now);
    if (account.last_refresh() == "good") return Cell(std::move(when));
    return Cell("failed " + when, Tone::kWarn);
}

void print_unused(Session& session, const std::string& account) {
    session.out << paint("note: ", Tone::kWarn, session.color) << "no provider of the configuration uses '" << printable(account)
                << "'; it takes one with auth_type: oauth\n";
}

int print_account(Session& session, const Result<v1::AccountResponse>& answer) {
    if (!answer) return report(session, answer.error());
    if (session.format != Format::kTable) {
        print_document(*answer, session.format, session.out);
        return kDone;
    }
    const v1::AccountView& account = answer->account();
    session.out << fmt::format(
        "account '{}' {}; its access token ends {}\n",
        printable(account.name()),
        printable(answer->message()),
        in_words(account.expires_at_ms(), session.now)
    );
    if (account.providers().empty()) print_unused(session, account.name());
    return kDone;
}

void print_accounts(Session& session, const v1::ListAccountsResponse& answer) {
    for (const std::string& problem : answer.problems()) session.out << printable(problem) << '\n';
    if (answer.accounts().empty()) {
        session.out << "nobody is logged in: balancerctl oauth login\n";
        return;
    }
    // Fits into 80 columns with a name of 20; the rest is in the other forms.
    Table table({"ACCOUNT", "STATE", "AGE", "ENDS", "REFRESHED", "5 HOURS", "7 DAYS"});
    for (const v1::AccountView& account : answer.accounts()) {
        const v1::AccountUse& use = account.use();
        table.add({
            account.name(),
            state_cell(account, session.now),
            duration_words(Milliseconds(std::max<UnixMs>(session.now - account.issued_at_ms(), 0))),
            in_words(account.expires_at_ms(), session.now),
            refresh_cell(account, session.now),
            share_words(use.has_five_hour(), use.five_hour(), use.five_hour_reset_ms(), session.now),
            share_words(use.has_seven_day(), use.seven_day(), use.seven_day_reset_ms(), session.now),
        });
    }
    table.print(session.out, session.color);
    for (const v1::AccountView& account : answer.accounts()) {
        if (account.providers().empty()) print_unused(session, account.name());
        if (account.problem().empty()) continue;
        session.out << paint(printable(account.name()) + ": ", Tone::kBad, session.color) << printable(account.problem()) << '\n';
    }
    if (!answer.durable()) {
        session.out << paint("note: ", Tone::kWarn, session.color)
                    << "logins are in memory only and end with the control plane\n";
    }
}

}  // namespace

int oauth_login(Session& session, const AccountFlags& flags) {
    v1::BeginLoginRequest begin;
    begin.set_account(flags.account);
    auto login = session.client.call(&v1::Admin::Stub::BeginLogin, begin);
    if (!login) return report(session, login.error());
    session.err << "Open this in a browser, and log in:\n\n  " << login->url() << "\n\n"
                << "Then paste here what the page shows (CODE#STATE), or the address that it ends at; it is good for 10 minutes:\n";
    session.err.flush();
    std::string pasted;
    if (!std::getline(session.in, pasted) || pasted.empty()) {
        return report(session, invalid("no code was given; if the page says that you are logged in, see `balancerctl oauth status`"));
    }
    v1::FinishLoginRequest finish;
    finish.set_code(pasted);
    finish.set_account(flags.account);
    return print_account(session, session.client.call(&v1::Admin::Stub::FinishLogin, finish, kEndpointTimeout));
}

int oauth_status(Session& session) {
    auto answer = session.client.call(&v1::Admin::Stub::ListAccounts, v1::ListAccountsRequest());
    if (!answer) return report(session, answer.error());
    if (session.format == Format::kTable) {
        print_accounts(session, *answer);
    } else {
        print_document(*answer, session.format, session.out);
    }
    bool bad = std::any_of(answer->accounts().begin(), answer->accounts().end(), [now = session.now](const v1::AccountView& account) {
        return account.state() == v1::AccountView::NEEDS_LOGIN || account.state() == v1::AccountView::UNCERTAIN ||
               account.expires_at_ms() <= now;
    });
    return bad || !answer->problems().empty() ? kDegraded : kDone;
}

int oauth_refresh(Session& session, const AccountFlags& flags) {
    v1::RefreshAccountRequest request;
    request.set_account(flags.account);
    return print_account(session, session.client.call(&v1::Admin::Stub::RefreshAccount, request, kEndpointTimeout));
}

int oauth_logout(Session& session, const AccountFlags& flags) {
    if (flags.account.empty() && !flags.all) {
        session.err << "balancerctl: say which account, or --all\n";
        return kUsage;
    }
    v1::ForgetAccountsRequest request;
    request.set_account(flags.account);
    auto answer = session.client.call(&v1::Admin::Stub::ForgetAccounts, request);
    if (!answer) return report(session, answer.error());
    if (session.format != Format::kTable) {
        print_document(*answer, session.format, session.out);
    } else if (flags.all) {
        session.out << fmt::format("{} accounts are logged out\n", answer->forgotten());
    } else {
        session.out << fmt::format("account '{}' is logged out\n", printable(flags.account));
    }
    return kDone;
}

}  // namespace balancer::cli
