#include "cli/command/doctor_providers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/words.hpp"

namespace balancer::cli {
namespace {

// For the way to the control plane and back.
constexpr Milliseconds kMargin{5'000};

// It would answer, but not now: says nothing of what it can.
bool is_busy(const v1::TestProviderResponse& answer) {
    return answer.http_status() == 429 || answer.http_status() == 503 || answer.http_status() == 529;
}

// One provider. Lives for one look.
class Examination {
  public:
    Examination(Session& session, Findings& findings, const DoctorFlags& flags, const v1::ProviderView& view)
        : session_(session), findings_(findings), flags_(flags), view_(view), provider_(view.provider()),
          subject_("provider " + provider_.name()) {}

    void run();

  private:
    void probe();
    void probe_more(std::vector<std::string>& good);
    void compare_clock(const v1::TestProviderResponse& answer);
    // What could not be asked comes back as an answer without status.
    v1::TestProviderResponse ask(v1::ProviderProbe what);

    Session& session_;
    Findings& findings_;
    const DoctorFlags& flags_;
    const v1::ProviderView& view_;
    const v1::Provider& provider_;
    const std::string subject_;
};

void Examination::run() {
    if (!view_.credential_problem().empty()) {
        return findings_.tell(
            Verdict::kBad, subject_, view_.credential_problem(), "`balancerctl keys list`, or set its key anew"
        );
    }
    if (!provider_.enabled()) return findings_.tell(Verdict::kGood, subject_, "disabled: not looked at");
    if (view_.routes().empty()) {
        const std::string mend = "`balancerctl routes set PATTERN " + provider_.name() + "`";
        findings_.tell(Verdict::kWarn, subject_, "no route leads to it", mend);
    }
    if (view_.health().circuit() != v1::CIRCUIT_CLOSED) {
        const std::string state = circuit_words(view_, session_.now).text;
        findings_.tell(Verdict::kWarn, subject_, "benched (" + state + "): " + view_.health().cause());
    }
    if (flags_.no_probes) return;
    if (provider_.auth_type() == v1::AUTH_TYPE_PASSTHROUGH) {
        return findings_.tell(Verdict::kGood, subject_, "not asked: it takes the clients' own credentials");
    }
    probe();
}

v1::TestProviderResponse Examination::ask(v1::ProviderProbe what) {
    v1::TestProviderRequest request;
    request.set_name(provider_.name());
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

void Examination::compare_clock(const v1::TestProviderResponse& answer) {
    const std::int64_t ahead = answer.clock_ahead_ms();
    if (!answer.has_clock_ahead_ms() || std::abs(ahead) <= kClockApartMs + answer.latency_ms()) return;
    findings_.tell(
        Verdict::kWarn,
        subject_,
        fmt::format("its clock is {} of the control plane's", apart_words(ahead)),
        "if other providers say the same, the control plane's is wrong: let it follow a time server"
    );
}

void Examination::probe() {
    const std::string& name = provider_.name();
    const v1::TestProviderResponse message = ask(v1::PROVIDER_PROBE_MESSAGE);
    compare_clock(message);
    if (!message.ok()) {
        const std::string status = message.http_status() == 0 ? "" : fmt::format("{}: ", message.http_status());
        const bool busy = is_busy(message);
        return findings_.tell(
            busy ? Verdict::kWarn : Verdict::kBad, subject_, status + message.message(),
            busy ? ""
                 : "`balancerctl providers test " + name + "` asks again; until it is mended others serve its routes"
        );
    }
    std::vector<std::string> good = {fmt::format("answers {} in {} ms", message.model(), message.latency_ms())};
    probe_more(good);
    findings_.tell(Verdict::kGood, subject_, fmt::format("{}", fmt::join(good, ", ")));
}

void Examination::probe_more(std::vector<std::string>& good) {
    const bool anthropic = provider_.type() == v1::PROVIDER_TYPE_ANTHROPIC;
    auto takes = [&](v1::ProviderProbe what, const char* words, Verdict verdict, const char* mend) {
        const v1::TestProviderResponse answer = ask(what);
        const std::string said = fmt::format("{} {}", answer.http_status(), answer.message());
        if (answer.ok()) {
            good.emplace_back(words);
        } else if (is_busy(answer)) {
            findings_.tell(Verdict::kWarn, subject_, fmt::format("not known for {}: {}", words, said), "ask again later");
        } else {
            findings_.tell(verdict, subject_, fmt::format("without {}: {}", words, said), mend);
        }
        return answer;
    };
    takes(v1::PROVIDER_PROBE_STREAM, "streams", Verdict::kBad, "Claude Code streams: disable it, or ask its operator");
    if (provider_.capabilities().tools()) {
        takes(
            v1::PROVIDER_PROBE_TOOLS, "tools", Verdict::kBad,
            "say `capabilities: {tools: false}`, so that requests with tools go to others"
        );
    }
    if (anthropic && !provider_.capabilities().has_beta_headers()) {
        takes(
            v1::PROVIDER_PROBE_BETAS, "betas", Verdict::kWarn,
            "say which it takes: `capabilities: {beta_headers: [claude-code-*]}`, or none"
        );
    }
    if (anthropic) {
        takes(
            v1::PROVIDER_PROBE_COUNT_TOKENS,
            "count_tokens",
            Verdict::kWarn,
            "nothing has to be done: tokens are counted locally"
        );
    }
    const v1::TestProviderResponse models = takes(
        v1::PROVIDER_PROBE_MODELS, "models", Verdict::kWarn, "nothing has to be done: the routes say what it serves"
    );
    if (!models.ok() || models.models().empty()) return;
    for (const v1::ProviderRoute& route : view_.routes()) {
        const std::string& model = route.model();
        if (model.empty() || std::ranges::find(models.models(), model) != models.models().end()) continue;
        findings_.tell(
            Verdict::kWarn,
            subject_,
            fmt::format("route '{}' sends it {}, which it does not list", route.pattern(), model),
            "is the name right? Aliases are not always listed: `balancerctl providers test " + provider_.name() +
                " --model " + model + "`"
        );
    }
}

}  // namespace

void look_at_providers(
    Session& session, Findings& findings, const DoctorFlags& flags, const v1::ListProvidersResponse& all
) {
    std::vector<std::string> unknown = flags.providers;
    for (const v1::ProviderView& view : all.providers()) {
        const std::string& name = view.provider().name();
        const bool wanted = std::ranges::find(flags.providers, name) != flags.providers.end();
        if (!flags.providers.empty() && !wanted) continue;
        std::erase(unknown, name);
        Examination(session, findings, flags, view).run();
    }
    for (const std::string& name : unknown) {
        findings.tell(Verdict::kBad, "provider " + name, "there is none", "`balancerctl providers list`");
    }
}

}  // namespace balancer::cli
