// keys list, rotate, retire.
#include <fmt/format.h>

#include <map>

#include "cli/command/change.hpp"
#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"
#include "cli/words.hpp"

namespace balancer::cli {
namespace {

using Problems = google::protobuf::RepeatedPtrField<v1::SealedRecordProblem>;

std::string records_words(const v1::SealingKey& key) {
    std::map<std::string, std::uint64_t> sorted(key.records().begin(), key.records().end());
    std::string words;
    for (const auto& [kind, count] : sorted) {
        words += fmt::format("{}{} {}", words.empty() ? "" : ", ", count, kind);
    }
    return words.empty() ? "none" : words;
}

Cell state_words(const v1::SealingKey& key, UnixMs now) {
    if (key.source().empty()) return Cell("missing: its records are locked", Tone::kBad);
    if (!key.active()) return Cell("old", Tone::kDim);
    return Cell(fmt::format("active, since {}", ago(key.active_since_ms(), now)), Tone::kGood);
}

void print_problems(Session& session, const Problems& problems) {
    if (problems.empty()) return;
    session.out << '\n';
    Table table({"KIND", "RECORD", "STATE", "WHY"});
    for (const v1::SealedRecordProblem& problem : problems) {
        table.add(
            {problem.kind(),
             problem.name(),
             Cell(problem.locked() ? "locked" : "damaged", Tone::kBad),
             problem.why()}
        );
    }
    table.print(session.out, session.color);
}

int report_keys(Session& session, const Result<v1::SealingKeyChange>& answer) {
    if (!answer) return report(session, answer.error());
    if (session.format != Format::kTable) {
        print_document(*answer, session.format, session.out);
        return kDone;
    }
    session.out << printable(answer->message()) << '\n';
    if (answer->rewrapped() > 0) session.out << answer->rewrapped() << " records are sealed with it since\n";
    if (!answer->left().empty()) {
        session.out << answer->left_size() << " records could not be opened, and are left as they were:\n";
    }
    print_problems(session, answer->left());
    return kDone;
}

}  // namespace

int list_keys(Session& session) {
    auto answer = session.client.call(&v1::Admin::Stub::ListSealingKeys, v1::ListSealingKeysRequest());
    if (!answer) return report(session, answer.error());
    if (session.format != Format::kTable) {
        print_document(*answer, session.format, session.out);
        return kDone;
    }
    Table table({"KEY", "SOURCE", "STATE", "RECORDS"});
    for (const v1::SealingKey& key : answer->keys()) {
        table.add(
            {Cell(key.id(), key.active() ? Tone::kBold : Tone::kPlain),
             key.source().empty() ? "-" : key.source(),
             state_words(key, session.now),
             records_words(key)}
        );
    }
    table.print(session.out, session.color);
    print_problems(session, answer->problems());
    return kDone;
}

int rotate_keys(Session& session, const ChangeFlags& flags) {
    v1::RotateSealingKeysRequest request;
    *request.mutable_context() = change_context(flags);
    return report_keys(session, session.client.call(&v1::Admin::Stub::RotateSealingKeys, request));
}

int retire_key(Session& session, const std::string& id, const ChangeFlags& flags) {
    v1::RetireSealingKeyRequest request;
    *request.mutable_context() = change_context(flags);
    request.set_id(id);
    return report_keys(session, session.client.call(&v1::Admin::Stub::RetireSealingKey, request));
}

}  // namespace balancer::cli
