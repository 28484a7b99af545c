#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "cli/command/change.hpp"
#include "cli/command/commands.hpp"
#include "cli/command/wait.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"
#include "cli/words.hpp"

namespace balancer::cli {
namespace {

Cell state_words(const v1::DataPlaneView& view) {
    if (!view.connected()) return Cell("gone", Tone::kBad);
    if (view.draining()) return Cell("draining", Tone::kWarn);
    if (!view.in_sync()) return Cell("behind", Tone::kWarn);
    if (view.suspect()) return Cell("suspect", Tone::kBad);
    return view.ready() ? Cell("in sync", Tone::kGood) : Cell("in sync, not ready", Tone::kWarn);
}

// An earlier process of the same id may still serve what it had.
std::string in_flight_words(const v1::DataPlaneView& view) {
    if (view.draining_in_flight() == 0) return std::to_string(view.in_flight());
    return fmt::format("{}, {} draining", view.in_flight(), view.draining_in_flight());
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
             in_flight_words(view),
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

std::string source_words(const v1::DataPlaneView& view) {
    switch (view.applied_source()) {
        case v1::Hello::MEMORY:
            return "from the control plane";
        case v1::Hello::DISK:
            return "from its disk, not confirmed yet";
        default:
            return "nothing yet";
    }
}

// "1.7, the head is 1.9: 2 versions behind for 3s"
Cell version_lag(const v1::DataPlaneView& view, const v1::Version& head, UnixMs now) {
    std::string words = version_words(view.applied());
    if (view.behind_since_ms() == 0) return Cell(words, Tone::kGood);
    words += ", the head is " + version_words(head);
    if (view.applied().epoch() == head.epoch() && head.seq() > view.applied().seq()) {
        words += fmt::format(": {} behind", head.seq() - view.applied().seq());
    }
    UnixMs lag = std::max<UnixMs>(0, now - view.behind_since_ms());
    return Cell(words + ", since " + duration_words(Milliseconds(lag)), Tone::kWarn);
}

void print_one(Session& session, const v1::DataPlaneView& view, const v1::Version& head) {
    UnixMs now = session.now;
    Table table({});
    table.add({"id", view.dp_id()});
    table.add({"state", state_words(view)});
    if (view.gone_at_ms() != 0) {
        table.add({"gone", ago(view.gone_at_ms(), now) + ": " + view.gone_reason()});
    }
    table.add({"version", version_lag(view, head, now)});
    table.add({"source", source_words(view)});
    table.add(
        {"acknowledged",
         view.acknowledged_at_ms() == 0
             ? "not on this stream"
             : fmt::format(
                   "{}, applied in {} us", ago(view.acknowledged_at_ms(), now), view.apply_us()
               )}
    );
    table.add(
        {"last refusal",
         view.last_nack_at_ms() == 0
             ? Cell("none")
             : Cell(ago(view.last_nack_at_ms(), now) + ": " + view.last_nack(), Tone::kWarn)}
    );
    table.add({"ready", view.ready() ? Cell("yes", Tone::kGood) : Cell("no", Tone::kWarn)});
    table.add({"in flight", in_flight_words(view)});
    table.add({"reports lost", std::to_string(view.signals_dropped())});
    table.add({"connected", ago(view.connected_at_ms(), now)});
    table.add({"heard", ago(view.last_heard_ms(), now)});
    table.add({"build", view.build()});
    table.add({"instance", view.instance_id()});
    table.add({"peer", view.peer()});
    for (const v1::ResourceError& error : view.quarantined()) {
        std::string words = error.resource() + ": " + error.field_path() + ": " + error.message();
        table.add({"left out", Cell(words, Tone::kWarn)});
    }
    table.print(session.out, session.color);
}

// Until this process of it has gone, or another has its id; false: it has not in this time.
Result<bool> wait_until_gone(Session& session, const v1::DataPlaneView& told, Milliseconds limit) {
    constexpr Milliseconds kPause{500};
    const SteadyTime until = steady_now() + limit;
    v1::ListDataPlanesRequest request;
    request.set_name(told.dp_id());
    for (;;) {
        auto answer = session.client.call(&v1::Admin::Stub::ListDataPlanes, request);
        if (!answer) return answer.error();
        const v1::DataPlaneView& now = answer->data_planes(0);
        const bool same = now.instance_id() == told.instance_id();
        if ((same && !now.connected()) || (!same && now.draining_in_flight() == 0)) return true;
        if (steady_now() >= until) return false;
        std::this_thread::sleep_for(kPause);
    }
}

}  // namespace

int drain_data_plane(Session& session, const std::string& name, const ChangeFlags& flags) {
    v1::DrainDataPlaneRequest request;
    *request.mutable_context() = change_context(flags);
    request.set_name(name);
    auto answer = session.client.call(&v1::Admin::Stub::DrainDataPlane, request);
    if (!answer) return report(session, answer.error());
    const v1::DataPlaneView& told = answer->data_plane();
    const bool table = session.format == Format::kTable;
    if (table) {
        session.out << fmt::format("'{}' drains, with {} in flight\n", printable(told.dp_id()), told.in_flight());
    } else {
        print_document(*answer, session.format, session.out);
    }
    if (flags.wait_s.empty()) return kDone;
    Result<bool> gone = wait_until_gone(session, told, wait_time(flags.wait_s).value());
    if (!gone) return report(session, gone.error());
    if (table) session.out << (*gone ? "it has ended\n" : "it has not ended yet\n");
    return *gone ? kDone : kFailed;
}

int get_data_plane(Session& session, const std::string& name) {
    v1::ListDataPlanesRequest request;
    request.set_name(name);
    auto answer = session.client.call(&v1::Admin::Stub::ListDataPlanes, request);
    if (!answer) return report(session, answer.error());
    if (answer->data_planes().empty()) return report(session, invalid("no such data plane"));
    if (session.format == Format::kTable) {
        print_one(session, answer->data_planes(0), answer->head());
    } else {
        print_document(answer->data_planes(0), session.format, session.out);
    }
    return kDone;
}

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
