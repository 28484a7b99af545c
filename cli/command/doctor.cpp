// `balancerctl doctor`: looks at everything that an operator would look at, and says what to mend.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"
#include "cli/words.hpp"

namespace balancer::cli {
namespace {

// Clocks that differ by more make tokens, resets and logs wrong. A Date header is a second old at once.
constexpr std::int64_t kClockApartMs = 5'000;
// For the way to the control plane and back.
constexpr Milliseconds kMargin{5'000};

enum class Verdict { kGood, kWarn, kBad };

struct Finding {
    Verdict verdict = Verdict::kGood;
    std::string subject;
    std::string words;
    std::string mend;  // what to do; empty when there is nothing
};

const char* name_of(Verdict verdict) {
    if (verdict == Verdict::kGood) return "ok";
    return verdict == Verdict::kWarn ? "warning" : "bad";
}

Tone tone_of(Verdict verdict) {
    if (verdict == Verdict::kGood) return Tone::kGood;
    return verdict == Verdict::kWarn ? Tone::kWarn : Tone::kBad;
}

std::string apart_words(std::int64_t ahead_ms) {
    return fmt::format("{:.1f} s {}", std::abs(static_cast<double>(ahead_ms)) / 1000, ahead_ms < 0 ? "behind" : "ahead");
}

class Doctor {
  public:
    Doctor(Session& session, const DoctorFlags& flags) : session_(session), flags_(flags) {}

    int run();

  private:
    // Printed as they come: a probe may take long.
    void tell(Verdict verdict, std::string subject, std::string words, std::string mend = {});

    void look_at_status(const v1::GetStatusResponse& status, Milliseconds round_trip);
    void look_at_file();
    void look_at_data_planes();
    void look_at_keys();
    void look_at_accounts();
    void look_at_providers();
    void look_at(const v1::ProviderView& view);
    void probe(const v1::ProviderView& view);
    void probe_more(const v1::ProviderView& view, std::vector<std::string>& good);
    void compare_clock(const std::string& subject, const v1::TestProviderResponse& answer);
    // An empty answer, and a finding, when the control plane cannot do it.
    v1::TestProviderResponse ask(const std::string& name, v1::ProviderProbe what);

    template <class Request, class Response>
    Result<Response> call(grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
        auto answer = session_.client.call(method, Request());
        if (!answer) tell(Verdict::kBad, "control plane", answer.error().text());
        return answer;
    }

    Session& session_;
    const DoctorFlags& flags_;
    std::vector<Finding> findings_;
};

void Doctor::tell(Verdict verdict, std::string subject, std::string words, std::string mend) {
    if (session_.format == Format::kTable) {
        session_.out << paint(fmt::format("{:<8}", name_of(verdict)), tone_of(verdict), session_.color)
                     << printable(subject) << ": " << printable(words) << '\n';
        if (!mend.empty()) session_.out << fmt::format("{:8}mend it: {}\n", "", printable(mend));
        session_.out.flush();
    }
    findings_.push_back({verdict, std::move(subject), std::move(words), std::move(mend)});
}

void Doctor::look_at_status(const v1::GetStatusResponse& status, Milliseconds round_trip) {
    const bool same = status.build() == BALANCER_VERSION;
    tell(
        same ? Verdict::kGood : Verdict::kWarn,
        "control plane",
        fmt::format("{} at {}, answers in {} ms", status.build(), session_.client.server(), round_trip.count()),
        same ? "" : fmt::format("this is balancerctl {}: use the one that came with the control plane", BALANCER_VERSION)
    );
    // Half of the way there, as NTP reckons.
    const std::int64_t ahead = status.now_ms() - unix_now() + round_trip.count() / 2;
    if (status.now_ms() != 0) {
        const bool close = std::abs(ahead) <= kClockApartMs + round_trip.count();
        tell(
            close ? Verdict::kGood : Verdict::kWarn,
            "clock",
            close ? "the control plane's and this machine's agree"
                  : fmt::format("the control plane's is {} of this machine's", apart_words(ahead)),
            close ? "" : "let both machines follow a time server (systemd-timesyncd, chrony)"
        );
    }
    if (!status.last_reload_error().empty()) {
        tell(
            Verdict::kBad,
            "configuration",
            "the last change of the file was refused, what was in force before stays: " + status.last_reload_error(),
            "correct the file; `balancerctl config validate` checks it"
        );
    }
    if (status.differs_from_file()) {
        tell(
            Verdict::kWarn,
            "configuration",
            fmt::format("what runs (revision {}) is not what the file says", status.revision().number()),
            "`balancerctl config diff` shows the difference, `balancerctl config save` writes what runs into the file"
        );
    }
    if (status.providers_healthy() == 0) {
        tell(Verdict::kBad, "providers", "none is healthy", "see below what each of them says");
    }
}

void Doctor::look_at_file() {
    auto answer = call(&v1::Admin::Stub::ValidateConfig);
    if (!answer) return;
    for (const v1::ConfigProblem& problem : answer->problems()) {
        tell(Verdict::kBad, "configuration", problem_words(problem, ""), "correct the file; what runs stays in force until then");
    }
    for (const std::string& notice : answer->notices()) tell(Verdict::kWarn, "configuration", notice);
    if (answer->ok() && answer->notices().empty()) tell(Verdict::kGood, "configuration", "the file is good");
}

void Doctor::look_at_data_planes() {
    auto answer = call(&v1::Admin::Stub::ListDataPlanes);
    if (!answer) return;
    int good = 0;
    for (const v1::DataPlaneView& view : answer->data_planes()) {
        const std::string subject = "data plane " + view.dp_id();
        if (!view.connected()) {
            tell(
                Verdict::kWarn,
                subject,
                fmt::format("gone since {}: {}", ago(view.gone_at_ms(), session_.now), view.gone_reason()),
                "start it again, or take it out of the load balancer; it is forgotten after an hour"
            );
        } else if (view.suspect()) {
            tell(Verdict::kBad, subject, view.suspect_reason(), "look at its network: the others do well where it fails");
        } else if (!view.last_nack().empty() && !view.in_sync()) {
            tell(Verdict::kBad, subject, "it refuses an update: " + view.last_nack(), "is it an older release? Then upgrade it");
        } else if (!view.in_sync() || !view.ready()) {
            tell(
                Verdict::kWarn,
                subject,
                view.in_sync() ? "it is not ready" : "it is behind, at " + version_words(view.applied()),
                "`balancerctl dataplanes get " + view.dp_id() + "` says more"
            );
        } else {
            ++good;
        }
        for (const v1::ResourceError& error : view.quarantined()) {
            tell(
                Verdict::kBad,
                subject,
                fmt::format("it left out {}: {}: {}", error.resource(), error.field_path(), error.message()),
                "upgrade it, or change that part of the configuration"
            );
        }
        if (view.build() != BALANCER_VERSION && view.connected()) {
            tell(Verdict::kWarn, subject, "it runs " + view.build(), "upgrade it when the rest of the fleet is");
        }
    }
    if (good > 0) tell(Verdict::kGood, "data planes", fmt::format("{} connected, in sync and ready", good));
    if (answer->data_planes().empty()) {
        tell(
            Verdict::kBad, "data planes", "none has connected in the last hour",
            "start one: balancer-dataplane --control-plane " + session_.client.server() +
                " --token-file STATE_DIR/dataplane.token"
        );
    }
}

void Doctor::look_at_keys() {
    auto answer = call(&v1::Admin::Stub::ListSealingKeys);
    if (!answer) return;
    for (const v1::SealedRecordProblem& problem : answer->problems()) {
        tell(
            Verdict::kBad,
            "sealed secrets",
            fmt::format("{} '{}': {}", problem.kind(), problem.name(), problem.why()),
            problem.locked() ? "bring back the key that it was sealed with, or set the secret anew"
                             : "set the secret anew; if nobody changed the database, look at the disk"
        );
    }
    if (answer->problems().empty()) tell(Verdict::kGood, "sealed secrets", "all can be opened");
}

void Doctor::look_at_accounts() {
    auto answer = call(&v1::Admin::Stub::ListAccounts);
    if (!answer) return;
    for (const std::string& problem : answer->problems()) tell(Verdict::kBad, "accounts", problem);
    for (const v1::AccountView& account : answer->accounts()) {
        const std::string subject = "account " + account.name();
        if (!account.problem().empty()) {
            tell(account.state() == v1::AccountView::OK ? Verdict::kWarn : Verdict::kBad, subject, account.problem());
        } else if (account.held_until_ms() > session_.now) {
            const Milliseconds left(account.held_until_ms() - session_.now);
            tell(Verdict::kWarn, subject, "its window is used up for another " + duration_words(left));
        } else if (account.providers().empty()) {
            tell(Verdict::kWarn, subject, "no provider uses it", "name it in `accounts` of a provider with auth_type: oauth");
        } else {
            tell(Verdict::kGood, subject, "logged in");
        }
    }
}

void Doctor::look_at_providers() {
    auto answer = call(&v1::Admin::Stub::ListProviders);
    if (!answer) return;
    std::vector<std::string> unknown = flags_.providers;
    for (const v1::ProviderView& view : answer->providers()) {
        const std::string& name = view.provider().name();
        if (!flags_.providers.empty() && std::ranges::find(flags_.providers, name) == flags_.providers.end()) continue;
        std::erase(unknown, name);
        look_at(view);
    }
    for (const std::string& name : unknown) tell(Verdict::kBad, "provider " + name, "there is none", "`balancerctl providers list`");
}

void Doctor::look_at(const v1::ProviderView& view) {
    const v1::Provider& provider = view.provider();
    const std::string subject = "provider " + provider.name();
    if (!view.credential_problem().empty()) {
        return tell(Verdict::kBad, subject, view.credential_problem(), "`balancerctl keys list`, or set its key anew");
    }
    if (!provider.enabled()) return tell(Verdict::kGood, subject, "disabled: not looked at");
    if (view.routes().empty()) {
        tell(Verdict::kWarn, subject, "no route leads to it", "`balancerctl routes set PATTERN " + provider.name() + "`");
    }
    if (view.health().circuit() != v1::CIRCUIT_CLOSED) {
        const std::string state = circuit_words(view, session_.now).text;
        tell(Verdict::kWarn, subject, "benched (" + state + "): " + view.health().cause());
    }
    if (flags_.no_probes) return;
    if (provider.auth_type() == v1::AUTH_TYPE_PASSTHROUGH) {
        return tell(Verdict::kGood, subject, "not asked: it takes the clients' own credentials");
    }
    probe(view);
}

v1::TestProviderResponse Doctor::ask(const std::string& name, v1::ProviderProbe what) {
    v1::TestProviderRequest request;
    request.set_name(name);
    request.set_probe(what);
    request.set_model(flags_.model);
    const Milliseconds within(static_cast<std::int64_t>(flags_.within_s * 1000));
    request.set_timeout_ms(static_cast<std::uint32_t>(within.count()));
    auto answer = session_.client.call(&v1::Admin::Stub::TestProvider, request, within + kMargin);
    if (answer) return *std::move(answer);
    v1::TestProviderResponse failed;
    failed.set_message(answer.error().text());
    return failed;
}

void Doctor::compare_clock(const std::string& subject, const v1::TestProviderResponse& answer) {
    if (!answer.has_clock_ahead_ms() || std::abs(answer.clock_ahead_ms()) <= kClockApartMs + answer.latency_ms()) return;
    tell(
        Verdict::kWarn, subject, fmt::format("its clock is {} of the control plane's", apart_words(answer.clock_ahead_ms())),
        "if other providers say the same, the control plane's is wrong: let it follow a time server"
    );
}

void Doctor::probe(const v1::ProviderView& view) {
    const std::string& name = view.provider().name();
    const std::string subject = "provider " + name;
    const v1::TestProviderResponse message = ask(name, v1::PROVIDER_PROBE_MESSAGE);
    compare_clock(subject, message);
    if (!message.ok()) {
        const std::string status = message.http_status() == 0 ? "" : fmt::format("{}: ", message.http_status());
        const bool busy = message.http_status() == 429 || message.http_status() == 529;
        return tell(
            busy ? Verdict::kWarn : Verdict::kBad, subject, status + message.message(),
            busy ? "" : "`balancerctl providers test " + name + "` asks again; until it is mended others serve its routes"
        );
    }
    std::vector<std::string> good = {fmt::format("answers {} in {} ms", message.model(), message.latency_ms())};
    probe_more(view, good);
    tell(Verdict::kGood, subject, fmt::format("{}", fmt::join(good, ", ")));
}

void Doctor::probe_more(const v1::ProviderView& view, std::vector<std::string>& good) {
    const v1::Provider& provider = view.provider();
    const std::string subject = "provider " + provider.name();
    const bool anthropic = provider.type() == v1::PROVIDER_TYPE_ANTHROPIC;
    auto takes = [&](v1::ProviderProbe what, const char* words, Verdict verdict, const char* mend) {
        const v1::TestProviderResponse answer = ask(provider.name(), what);
        if (answer.ok()) {
            good.emplace_back(words);
        } else {
            tell(verdict, subject, fmt::format("without {}: {} {}", words, answer.http_status(), answer.message()), mend);
        }
        return answer;
    };
    takes(v1::PROVIDER_PROBE_STREAM, "streams", Verdict::kBad, "Claude Code streams: disable it, or ask its operator");
    if (provider.capabilities().tools()) {
        takes(
            v1::PROVIDER_PROBE_TOOLS, "tools", Verdict::kBad,
            "say `capabilities: {tools: false}`, so that requests with tools go to others"
        );
    }
    if (anthropic && !provider.capabilities().has_beta_headers()) {
        takes(
            v1::PROVIDER_PROBE_BETAS, "betas", Verdict::kWarn,
            "say which it takes: `capabilities: {beta_headers: [claude-code-*]}`, or none"
        );
    }
    if (anthropic) {
        takes(v1::PROVIDER_PROBE_COUNT_TOKENS, "count_tokens", Verdict::kWarn, "nothing has to be done: tokens are counted locally");
    }
    const v1::TestProviderResponse models =
        takes(v1::PROVIDER_PROBE_MODELS, "models", Verdict::kWarn, "nothing has to be done: the routes say what it serves");
    if (!models.ok() || models.models().empty()) return;
    for (const v1::ProviderRoute& route : view.routes()) {
        const std::string& model = route.model();
        if (model.empty() || std::ranges::find(models.models(), model) != models.models().end()) continue;
        tell(
            Verdict::kWarn, subject, fmt::format("route '{}' sends it {}, which it does not list", route.pattern(), model),
            "is the name right? Aliases are not always listed: `balancerctl providers test " + provider.name() + " --model " +
                model + "`"
        );
    }
}

int Doctor::run() {
    const SteadyTime began = steady_now();
    auto status = session_.client.call(&v1::Admin::Stub::GetStatus, v1::GetStatusRequest());
    if (!status) return report(session_, status.error());
    look_at_status(*status, Milliseconds(elapsed_ms(began, steady_now())));
    look_at_file();
    look_at_data_planes();
    look_at_keys();
    look_at_accounts();
    look_at_providers();
    if (session_.format != Format::kTable) {
        nlohmann::ordered_json document = nlohmann::ordered_json::array();
        for (const Finding& one : findings_) {
            document.push_back(
                {{"verdict", name_of(one.verdict)}, {"subject", one.subject}, {"finding", one.words}, {"mend", one.mend}}
            );
        }
        print_document({{"findings", std::move(document)}}, session_.format, session_.out);
    }
    const auto count = [this](Verdict verdict) { return std::ranges::count(findings_, verdict, &Finding::verdict); };
    if (count(Verdict::kBad) > 0) return kFailed;
    return count(Verdict::kWarn) > 0 ? kDegraded : kDone;
}

}  // namespace

int doctor(Session& session, const DoctorFlags& flags) {
    return Doctor(session, flags).run();
}

}  // namespace balancer::cli
