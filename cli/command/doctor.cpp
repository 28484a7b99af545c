// `balancerctl doctor`: looks at everything that an operator would look at, and says what to mend.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/command/commands.hpp"
#include "cli/command/doctor_providers.hpp"
#include "cli/command/findings.hpp"
#include "cli/words.hpp"

namespace balancer::cli {
namespace {

// Nothing, and a finding, when the control plane does not answer.
template <class Request, class Response>
Result<Response> ask(
    Session& session,
    Findings& findings,
    grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*, const Request&, Response*)
) {
    auto answer = session.client.call(method, Request());
    if (!answer) findings.tell(Verdict::kBad, "control plane", answer.error().text());
    return answer;
}

void look_at_status(
    Session& session, Findings& findings, const v1::GetStatusResponse& status, Milliseconds round_trip
) {
    const bool same = status.build() == BALANCER_VERSION;
    findings.tell(
        same ? Verdict::kGood : Verdict::kWarn,
        "control plane",
        fmt::format("{} at {}, answers in {} ms", status.build(), session.client.server(), round_trip.count()),
        same ? ""
             : fmt::format("this is balancerctl {}: use the one that came with the control plane", BALANCER_VERSION)
    );
    // Half of the way there, as NTP reckons.
    const std::int64_t ahead = status.now_ms() - unix_now() + round_trip.count() / 2;
    if (status.now_ms() != 0) {
        const bool close = std::abs(ahead) <= kClockApartMs + round_trip.count();
        findings.tell(
            close ? Verdict::kGood : Verdict::kWarn,
            "clock",
            close ? "the control plane's and this machine's agree"
                  : fmt::format("the control plane's is {} of this machine's", apart_words(ahead)),
            close ? "" : "let both machines follow a time server (systemd-timesyncd, chrony)"
        );
    }
    if (!status.last_reload_error().empty()) {
        findings.tell(
            Verdict::kBad,
            "configuration",
            "the last change of the file was refused, what was in force before stays: " + status.last_reload_error(),
            "correct the file; `balancerctl config validate` checks it"
        );
    }
    if (status.differs_from_file()) {
        findings.tell(
            Verdict::kWarn,
            "configuration",
            fmt::format("what runs (revision {}) is not what the file says", status.revision().number()),
            "`balancerctl config diff` shows the difference, `balancerctl config save` writes what runs into the file"
        );
    }
    if (status.providers_healthy() == 0) {
        findings.tell(Verdict::kBad, "providers", "none is healthy", "see below what each of them says");
    }
}

void look_at_file(Session& session, Findings& findings) {
    auto answer = ask(session, findings, &v1::Admin::Stub::ValidateConfig);
    if (!answer) return;
    for (const v1::ConfigProblem& problem : answer->problems()) {
        const std::string words = problem_words(problem, "");
        findings.tell(Verdict::kBad, "configuration", words, "correct the file; what runs stays in force until then");
    }
    for (const std::string& notice : answer->notices()) findings.tell(Verdict::kWarn, "configuration", notice);
    if (answer->ok() && answer->notices().empty()) findings.tell(Verdict::kGood, "configuration", "the file is good");
}

void look_at_data_planes(Session& session, Findings& findings) {
    auto answer = ask(session, findings, &v1::Admin::Stub::ListDataPlanes);
    if (!answer) return;
    int good = 0;
    for (const v1::DataPlaneView& view : answer->data_planes()) {
        const std::string subject = "data plane " + view.dp_id();
        if (!view.connected()) {
            findings.tell(
                Verdict::kWarn,
                subject,
                fmt::format("gone since {}: {}", ago(view.gone_at_ms(), session.now), view.gone_reason()),
                "start it again, or take it out of the load balancer; it is forgotten after an hour"
            );
        } else if (view.suspect()) {
            findings.tell(
                Verdict::kBad, subject, view.suspect_reason(), "look at its network: the others do well where it fails"
            );
        } else if (!view.last_nack().empty() && !view.in_sync()) {
            findings.tell(
                Verdict::kBad,
                subject,
                "it refuses an update: " + view.last_nack(),
                "is it an older release? Then upgrade it"
            );
        } else if (!view.in_sync() || !view.ready()) {
            findings.tell(
                Verdict::kWarn,
                subject,
                view.in_sync() ? "it is not ready" : "it is behind, at " + version_words(view.applied()),
                "`balancerctl dataplanes get " + view.dp_id() + "` says more"
            );
        } else {
            ++good;
        }
        for (const v1::ResourceError& error : view.quarantined()) {
            findings.tell(
                Verdict::kBad,
                subject,
                fmt::format("it left out {}: {}: {}", error.resource(), error.field_path(), error.message()),
                "upgrade it, or change that part of the configuration"
            );
        }
        if (view.build() != BALANCER_VERSION && view.connected()) {
            findings.tell(Verdict::kWarn, subject, "it runs " + view.build(), "upgrade it when the rest of the fleet is");
        }
    }
    if (good > 0) findings.tell(Verdict::kGood, "data planes", fmt::format("{} connected, in sync and ready", good));
    if (answer->data_planes().empty()) {
        findings.tell(
            Verdict::kBad, "data planes", "none has connected in the last hour",
            "start one: balancer-dataplane --control-plane " + session.client.server() +
                " --token-file STATE_DIR/dataplane.token"
        );
    }
}

void look_at_keys(Session& session, Findings& findings) {
    auto answer = ask(session, findings, &v1::Admin::Stub::ListSealingKeys);
    if (!answer) return;
    for (const v1::SealedRecordProblem& problem : answer->problems()) {
        findings.tell(
            Verdict::kBad,
            "sealed secrets",
            fmt::format("{} '{}': {}", problem.kind(), problem.name(), problem.why()),
            problem.locked() ? "bring back the key that it was sealed with, or set the secret anew"
                             : "set the secret anew; if nobody changed the database, look at the disk"
        );
    }
    if (answer->problems().empty()) findings.tell(Verdict::kGood, "sealed secrets", "all can be opened");
}

void look_at_accounts(Session& session, Findings& findings) {
    auto answer = ask(session, findings, &v1::Admin::Stub::ListAccounts);
    if (!answer) return;
    for (const std::string& problem : answer->problems()) findings.tell(Verdict::kBad, "accounts", problem);
    for (const v1::AccountView& account : answer->accounts()) {
        const std::string subject = "account " + account.name();
        if (!account.problem().empty()) {
            findings.tell(account.state() == v1::AccountView::OK ? Verdict::kWarn : Verdict::kBad, subject, account.problem());
        } else if (account.held_until_ms() > session.now) {
            const Milliseconds left(account.held_until_ms() - session.now);
            findings.tell(Verdict::kWarn, subject, "its window is used up for another " + duration_words(left));
        } else if (account.providers().empty()) {
            findings.tell(
                Verdict::kWarn,
                subject,
                "no provider uses it",
                "name it in `accounts` of a provider with auth_type: oauth"
            );
        } else {
            findings.tell(Verdict::kGood, subject, "logged in");
        }
    }
}

}  // namespace

int doctor(Session& session, const DoctorFlags& flags) {
    const SteadyTime began = steady_now();
    auto status = session.client.call(&v1::Admin::Stub::GetStatus, v1::GetStatusRequest());
    if (!status) return report(session, status.error());
    Findings findings(session);
    look_at_status(session, findings, *status, Milliseconds(elapsed_ms(began, steady_now())));
    look_at_file(session, findings);
    look_at_data_planes(session, findings);
    look_at_keys(session, findings);
    look_at_accounts(session, findings);
    if (auto providers = ask(session, findings, &v1::Admin::Stub::ListProviders)) {
        look_at_providers(session, findings, flags, *providers);
    }
    return findings.finish();
}

}  // namespace balancer::cli
