#include <fmt/format.h>

#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"
#include "cli/words.hpp"

namespace balancer::cli {
namespace {

Cell state_words(const v1::DataPlaneView& view) {
    if (!view.connected()) return Cell("gone", Tone::kBad);
    if (!view.in_sync()) return Cell("behind", Tone::kWarn);
    if (view.suspect()) return Cell("suspect", Tone::kBad);
    return view.ready() ? Cell("in sync", Tone::kGood) : Cell("in sync, not ready", Tone::kWarn);
}

void print_table(Session& session, const v1::ListDataPlanesResponse& answer) {
    if (answer.data_planes().empty()) {
        session.out << "no data plane has connected in the last hour; start one with\n"
                       "  balancer-dataplane --control-plane "
                    << session.client.server() << " --token-file STATE_DIR/dataplane.token\n";
        return;
    }
    Table table({"ID", "STATE", "VERSION", "CONNECTED", "HEARD", "IN FLIGHT", "BUILD", "PEER"});
    for (const v1::DataPlaneView& view : answer.data_planes()) {
        table.add(
            {view.dp_id(),
             state_words(view),
             version_words(view.applied()),
             ago(view.connected_at_ms(), session.now),
             ago(view.last_heard_ms(), session.now),
             std::to_string(view.in_flight()),
             view.build(),
             view.peer()}
        );
    }
    table.print(session.out, session.color);
    for (const v1::DataPlaneView& view : answer.data_planes()) {
        std::string who = paint(printable(view.dp_id()) + ": ", Tone::kWarn, session.color);
        if (view.suspect()) {
            session.out << who << "suspect, " << ago(view.suspect_since_ms(), session.now)
                        << (view.may_turn_unready() ? ", unready for it: " : ": ")
                        << printable(view.suspect_reason()) << '\n';
        }
        if (!view.last_nack().empty()) {
            session.out << who << "refused an update " << ago(view.last_nack_at_ms(), session.now)
                        << ": " << printable(view.last_nack()) << '\n';
        }
        for (const v1::ResourceError& error : view.quarantined()) {
            session.out << who << "left out " << printable(error.resource()) << ": "
                        << printable(error.field_path()) << ": " << printable(error.message())
                        << '\n';
        }
        if (view.signals_dropped() > 0) {
            session.out << who << fmt::format("dropped {} reports\n", view.signals_dropped());
        }
    }
}

}  // namespace

int list_data_planes(Session& session) {
    auto answer =
        session.client.call(&v1::Admin::Stub::ListDataPlanes, v1::ListDataPlanesRequest());
    if (!answer) return report(session, answer.error());
    if (session.format == Format::kTable) {
        print_table(session, *answer);
    } else {
        print_document(*answer, session.format, session.out);
    }
    return kDone;
}

}  // namespace balancer::cli
