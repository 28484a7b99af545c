// config history, diff, rollback, save.
#include <fmt/format.h>

#include "cli/command/change.hpp"
#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"
#include "cli/words.hpp"

namespace balancer::cli {

int list_revisions(Session& session, std::uint32_t count) {
    v1::ListRevisionsRequest request;
    request.set_count(count);
    auto answer = session.client.call(&v1::Admin::Stub::ListRevisions, request);
    if (!answer) return report(session, answer.error());
    if (session.format != Format::kTable) {
        print_document(*answer, session.format, session.out);
        return kDone;
    }
    Table table({"REVISION", "WHEN", "WHO", "SOURCE", "REASON", "CHANGE"});
    for (const v1::Revision& revision : answer->revisions()) {
        bool head = revision.number() == answer->head();
        table.add(
            {Cell(
                 fmt::format("{}{}", revision.number(), head ? " *" : ""),
                 head ? Tone::kBold : Tone::kPlain
             ),
             ago(revision.at_ms(), session.now),
             revision.actor().empty() ? "-" : revision.actor(),
             source_words(revision.source()),
             revision.reason().empty() ? "-" : revision.reason(),
             revision.summary()}
        );
    }
    table.print(session.out, session.color);
    return kDone;
}

int diff_config(Session& session, const std::string& from, const std::string& to) {
    v1::DiffConfigRequest request;
    request.set_from(from);
    request.set_to(to);
    auto answer = session.client.call(&v1::Admin::Stub::DiffConfig, request);
    if (!answer) return report(session, answer.error());
    if (session.format != Format::kTable) {
        print_document(*answer, session.format, session.out);
    } else if (answer->diff().empty()) {
        session.out << printable(fmt::format("{} and {} say the same", answer->from(), answer->to())
                       )
                    << '\n';
    } else {
        print_diff(session, answer->diff());
        for (const std::string& warning : answer->warnings()) {
            session.out << paint("note: ", Tone::kWarn, session.color) << printable(warning) << '\n';
        }
    }
    return kDone;
}

int rollback_config(Session& session, std::uint64_t revision, const ChangeFlags& flags) {
    v1::RollbackConfigRequest request;
    *request.mutable_context() = change_context(flags);
    request.set_revision(revision);
    return report_change(
        session, session.client.call(&v1::Admin::Stub::RollbackConfig, request), flags
    );
}

int save_config(Session& session, const ChangeFlags& flags) {
    v1::SaveConfigRequest request;
    *request.mutable_context() = change_context(flags);
    return report_change(
        session, session.client.call(&v1::Admin::Stub::SaveConfig, request), flags
    );
}

}  // namespace balancer::cli
