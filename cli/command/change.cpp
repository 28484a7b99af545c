#include "cli/command/change.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/command/wait.hpp"
#include "cli/document.hpp"
#include "cli/words.hpp"
#include "controlplane/service/redacted_print.hpp"

namespace balancer::cli {
namespace {

using Json = nlohmann::ordered_json;

void print_change(Session& session, const v1::ChangeResponse& answer) {
    if (answer.dry_run()) {
        print_diff(session, answer.diff());
        session.out << "would say: " << printable(answer.message()) << "; nothing has changed ("
                    << fmt::format("revision {} is in force)\n", answer.revision());
    } else {
        session.out << fmt::format(
            "{} (revision {}, version {})\n",
            printable(answer.message()),
            answer.revision(),
            version_words(answer.version())
        );
    }
    for (const std::string& warning : answer.warnings()) {
        session.out << paint("note: ", Tone::kWarn, session.color) << printable(warning) << '\n';
    }
}

// A provider with accounts is one provider for each of them at the data planes.
std::vector<std::string> names_at_data_planes(Session& session, const std::string& provider) {
    v1::ListProvidersRequest request;
    request.set_name(provider);
    std::vector<std::string> names{provider};
    auto answer = session.client.call(&v1::Admin::Stub::ListProviders, request);
    if (!answer) return names;
    for (const v1::ProviderView& view : answer->providers()) {
        if (view.provider().name() != provider) names.push_back(view.provider().name());
    }
    return names;
}

}  // namespace

v1::ChangeContext change_context(const ChangeFlags& flags) {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
    const passwd* user = ::getpwuid(::geteuid());
    v1::ChangeContext context;
    context.set_actor(fmt::format(
        "{}@{}", user != nullptr ? user->pw_name : std::to_string(::geteuid()), host.data()
    ));
    context.set_reason(flags.reason);
    context.set_if_revision(flags.if_revision);
    context.set_dry_run(flags.dry_run);
    context.set_force(flags.force);
    return context;
}

int report_change(
    Session& session,
    const Result<v1::ChangeResponse>& answer,
    const ChangeFlags& flags,
    const std::string& drained
) {
    if (!answer) return report(session, answer.error());
    const bool table = session.format == Format::kTable;
    const bool waits = !flags.wait_s.empty() && !answer->dry_run();
    if (table) print_change(session, *answer);
    if (!waits) {
        if (!table) print_document(*answer, session.format, session.out);
        return kDone;
    }
    // Checked when it was parsed: here the change has been made.
    Milliseconds limit = wait_time(flags.wait_s).value();
    WaitGoal goal{answer->version()};
    if (!drained.empty()) goal.drained = names_at_data_planes(session, drained);
    Result<WaitOutcome> outcome = wait_for_data_planes(session, goal, limit);
    if (!outcome) return report(session, outcome.error());
    if (table) {
        print_outcome(session, *outcome);
    } else {
        Json document = to_json(*answer);
        document["wait"] = to_document(*outcome);
        print_document(document, session.format, session.out);
    }
    return outcome->all ? kDone : kFailed;
}

void print_diff(Session& session, const std::string& diff) {
    std::size_t at = 0;
    while (at < diff.size()) {
        std::size_t end = std::min(diff.find('\n', at), diff.size());
        std::string line = printable(std::string_view(diff).substr(at, end - at));
        Tone tone = Tone::kPlain;
        if (line.starts_with("---") || line.starts_with("+++")) {
            tone = Tone::kBold;
        } else if (line.starts_with("@@")) {
            tone = Tone::kDim;
        } else if (line.starts_with('+')) {
            tone = Tone::kGood;
        } else if (line.starts_with('-')) {
            tone = Tone::kBad;
        }
        session.out << paint(line, tone, session.color) << '\n';
        at = end + 1;
    }
}

}  // namespace balancer::cli
