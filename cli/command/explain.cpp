#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/command/commands.hpp"
#include "cli/command/explain_words.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"
#include "cli/words.hpp"

namespace balancer::cli {
namespace {

std::string session_words(const v1::RequestRecord& record) {
    const std::string& kind = record.session_kind();
    if (kind == "header") return record.session() + " (x-claude-code-session-id)";
    if (kind == "user_id") return record.session() + " (metadata.user_id)";
    if (kind == "content") return "none named: told apart by system, tools and first message";
    if (kind == "global") return "one for all (sticky_scope: global)";
    return "-";
}

std::string version_line(const v1::RequestRecord& record, const v1::Version& head) {
    if (!record.has_version()) return "none: there was no configuration yet";
    std::string words = version_words(record.version());
    if (record.revision() != 0) words += fmt::format(", revision {}", record.revision());
    if (!at_least(record.version(), head)) words += fmt::format(" (the newest is {} now)", version_words(head));
    return words;
}

void print_facts(Session& session, const v1::RequestRecord& record, const v1::Version& head) {
    Table table({});
    table.add({"request", record.request_id()});
    table.add({"arrived", moment_words(record.at_ms(), session.now)});
    std::string asked = fmt::format("{} {}", record.method(), record.path());
    if (record.stream()) asked += ", streamed";
    asked += " from " + record.remote();
    if (!record.client_key().empty()) asked += fmt::format(", key '{}'", record.client_key());
    table.add({"asked", asked});
    if (!record.model().empty()) {
        std::string model = record.model();
        if (record.routes_size() > 0) model += fmt::format(", by route {}", fmt::join(record.routes(), ", then "));
        if (!record.pinned_provider().empty()) model += fmt::format("; pinned to {}", record.pinned_provider());
        table.add({"model", model});
    }
    table.add({"session", session_words(record)});
    table.add({"served by", fmt::format("{}, worker {}", record.dp_id(), record.worker())});
    table.add({"version", version_line(record, head)});
    std::string outcome = record.phase().empty() ? record.outcome() : "under way";
    outcome += record.status() == 0 ? ", nothing sent" : fmt::format(", status {}", record.status());
    if (record.first_byte_ms() >= 0) outcome += ", first byte after " + time_words(record.first_byte_ms());
    outcome += fmt::format(
        ", {} {}; {} in, {} out",
        time_words(record.duration_ms()),
        record.phase().empty() ? "in all" : "so far",
        size_words(record.bytes_in()),
        size_words(record.bytes_out())
    );
    table.add({"outcome", outcome});
    if (!record.upstream_request_id().empty()) {
        table.add({"provider's id", record.upstream_request_id()});
    }
    if (!record.coalesced_with().empty()) {
        table.add({"shared", "answered from the call of " + record.coalesced_with() + ", an identical request"});
    }
    if (record.readers() > 0) {
        table.add({"shared", fmt::format("{} other requests were answered from its call", record.readers())});
    }
    if (record.conversion_size() > 0) {
        table.add({"converted", fmt::format("{}", fmt::join(record.conversion(), "; "))});
    }
    if (!record.error().empty()) table.add({"told", Cell(record.error(), Tone::kWarn)});
    table.print(session.out, session.color);
}

void print_candidates(Session& session, const v1::RequestRecord& record) {
    if (record.candidates().empty()) return;
    session.out << '\n';
    Table table({"#", "PROVIDER", "MODEL SENT", "WHAT HAPPENED"});
    int place = 0;
    for (const v1::CandidateRecord& candidate : record.candidates()) {
        bool ranked = candidate.fate() != v1::CandidateRecord::LEFT_OUT;
        Cell fate = fate_words(candidate, session.now);
        std::string times = times_words(candidate);
        if (!times.empty()) fate.text += fmt::format(" [{}]", times);
        table.add(
            {ranked ? std::to_string(++place) : std::string("-"),
             candidate.provider(),
             candidate.model().empty() ? "(the client's)" : candidate.model(),
             std::move(fate)}
        );
    }
    table.print(session.out, session.color);
    if (record.candidates_left_out() > 0) {
        session.out << fmt::format("and {} more\n", record.candidates_left_out());
    }
}

// Where it was looked for, and how far back.
void print_asked(Session& session, const v1::ExplainRequestResponse& answer) {
    Table table({"DATA PLANE", "SAYS"});
    for (const v1::AskedDataPlane& asked : answer.asked()) {
        if (!asked.answered()) {
            table.add({asked.dp_id(), Cell("could not be asked: " + asked.why_not(), Tone::kWarn)});
            continue;
        }
        table.add(
            {asked.dp_id(),
             fmt::format(
                 "not known; it remembers requests since {}, those with trouble since {}",
                 moment_words(asked.plain_since_ms(), session.now),
                 moment_words(asked.troubled_since_ms(), session.now)
             )}
        );
    }
    if (!table.empty()) table.print(session.out, session.color);
    session.out << "An older request may be in the data planes' logs (log_file_path), by its request_id.\n";
}

}  // namespace

int explain(Session& session, const std::string& request_id) {
    v1::ExplainRequestRequest request;
    request.set_request_id(request_id);
    auto answer = session.client.call(&v1::Admin::Stub::ExplainRequest, request);
    if (!answer) return report(session, answer.error());
    bool found = answer->records_size() > 0;
    bool all_asked = std::all_of(answer->asked().begin(), answer->asked().end(), [](const auto& asked) {
        return asked.answered();
    });
    int code = found ? kDone : all_asked ? kFailed : kDegraded;
    if (session.format != Format::kTable) {
        print_document(*answer, session.format, session.out);
        return code;
    }
    for (int i = 0; i < answer->records_size(); ++i) {
        const v1::RequestRecord& record = answer->records(i);
        if (i > 0) session.out << '\n';
        session.out << paint(printable(story(record)), Tone::kBold, session.color) << "\n\n";
        print_facts(session, record, answer->head());
        print_candidates(session, record);
    }
    if (found) return code;
    session.err << paint("balancerctl: ", Tone::kBad, session.err_color)
                << (answer->asked().empty() ? "no data plane is connected, and none was in the last hour"
                    : all_asked             ? "no data plane knows this request"
                                : "no data plane that could be asked knows this request")
                << '\n';
    print_asked(session, *answer);
    return code;
}

}  // namespace balancer::cli
