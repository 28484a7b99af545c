#include <fmt/format.h>

#include <algorithm>

#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"
#include "cli/words.hpp"

namespace balancer::cli {
namespace {

std::string readers_words(const v1::RequestRecord& record) {
    if (!record.coalesced_with().empty()) return "reads " + record.coalesced_with();
    return record.readers() > 0 ? std::to_string(record.readers()) : "-";
}

void print_table(Session& session, const v1::ListRequestsResponse& answer) {
    Table table({"REQUEST", "DATA PLANE", "AGE", "MODEL", "PROVIDER", "READERS", "SENT", "WHAT IT IS AT"});
    for (const v1::RequestRecord& record : answer.records()) {
        table.add(
            {record.request_id(),
             record.dp_id(),
             duration_words(Milliseconds(record.duration_ms())),
             record.model().empty() ? "-" : record.model(),
             record.provider().empty() ? "-" : record.provider(),
             readers_words(record),
             std::to_string(record.bytes_out()),
             record.phase()}
        );
    }
    if (table.empty()) {
        session.out << "nothing is under way\n";
    } else {
        table.print(session.out, session.color);
    }
    if (answer.left_out() > 0) session.out << fmt::format("and {} younger ones\n", answer.left_out());
}

}  // namespace

int list_requests(Session& session) {
    auto answer = session.client.call(&v1::Admin::Stub::ListRequests, v1::ListRequestsRequest());
    if (!answer) return report(session, answer.error());
    // Those that have gone have nothing under way.
    bool all_asked = true;
    for (const v1::AskedDataPlane& asked : answer->asked()) {
        if (asked.answered() || asked.why_not().starts_with("gone: ")) continue;
        all_asked = false;
        session.err << paint("balancerctl: ", Tone::kWarn, session.err_color)
                    << printable(asked.dp_id() + " could not be asked: " + asked.why_not()) << '\n';
    }
    if (session.format == Format::kTable) {
        print_table(session, *answer);
    } else {
        print_document(*answer, session.format, session.out);
    }
    return all_asked ? kDone : kDegraded;
}

}  // namespace balancer::cli
