#include "cli/command/wait.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "cli/table.hpp"
#include "cli/words.hpp"

namespace balancer::cli {
namespace {

using Json = nlohmann::ordered_json;
using State = WaitedPlane::State;

constexpr Milliseconds kPoll{200};

const char* name_of(State state) {
    switch (state) {
        case State::kDone:
            return "done";
        case State::kRefused:
            return "refused";
        case State::kNotConnected:
            return "not_connected";
        case State::kBehind:
            return "behind";
        case State::kBusy:
            return "busy";
    }
    return "";
}

bool is_open(State state) {
    return state == State::kBehind || state == State::kBusy || state == State::kNotConnected;
}

// One line for a person while it lasts; only when it says something new.
void show_progress(Session& session, const WaitOutcome& outcome, std::string& shown) {
    std::string line;
    for (const WaitedPlane& plane : outcome.data_planes) {
        if (plane.state != State::kBusy) continue;
        line += fmt::format("{}{}: {}", line.empty() ? "" : "; ", plane.id, plane.detail);
    }
    if (line.empty() || line == shown || session.format != Format::kTable) return;
    session.out << "waiting: " << printable(line) << std::endl;
    shown = std::move(line);
}

}  // namespace

std::optional<Milliseconds> wait_time(const std::string& text) {
    if (text == "true") return Milliseconds(30'000);
    char* end = nullptr;
    double seconds = std::strtod(text.c_str(), &end);
    if (end == text.c_str() || *end != '\0' || !(seconds >= 0) || seconds > 86'400) {
        return std::nullopt;
    }
    return Milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

void fill_acknowledged(v1::ListDataPlanesResponse& answer) {
    auto& views = *answer.mutable_data_planes();
    const bool told = std::any_of(views.begin(), views.end(), [](const v1::DataPlaneView& view) {
        return view.has_acknowledged();
    });
    if (told) return;
    for (v1::DataPlaneView& view : views) {
        if (view.acknowledged_at_ms() != 0) *view.mutable_acknowledged() = view.applied();
    }
}

WaitedPlane judge(const v1::DataPlaneView& view, const WaitGoal& goal, UnixMs now) {
    WaitedPlane plane{view.dp_id(), State::kDone, "has it"};
    if (!view.connected()) {
        plane.state = State::kNotConnected;
        plane.detail = "is not connected, last heard " + ago(view.last_heard_ms(), now);
        return plane;
    }
    // What it merely says it holds may be of another control plane, which it does not leave.
    if (!at_least(view.acknowledged(), goal.version)) {
        if (at_least(view.last_nack_version(), goal.version)) {
            plane.state = State::kRefused;
            plane.detail = fmt::format(
                "refused version {} and stays on {}: {}",
                version_words(view.last_nack_version()),
                version_words(view.applied()),
                view.last_nack()
            );
        } else {
            plane.state = State::kBehind;
            plane.detail = fmt::format(
                "is behind: has {}, last heard {}",
                view.has_acknowledged() ? "version " + version_words(view.acknowledged())
                                        : std::string("acknowledged nothing yet"),
                ago(view.last_heard_ms(), now)
            );
        }
        return plane;
    }
    if (goal.drained.empty()) return plane;
    std::uint64_t in_flight = 0;
    for (const std::string& name : goal.drained) {
        auto found = view.in_flight_at().find(name);
        if (found != view.in_flight_at().end()) in_flight += found->second;
    }
    // A count that was taken under an older version says nothing: it may have grown since.
    const bool counted = at_least(view.heard_version(), goal.version);
    if (counted && in_flight == 0) {
        plane.detail = "has it, nothing in flight";
        return plane;
    }
    plane.state = State::kBusy;
    plane.detail = counted ? fmt::format("{} in flight", in_flight) : "has not counted yet";
    return plane;
}

Result<WaitOutcome> wait_for_data_planes(
    Session& session, const WaitGoal& goal, Milliseconds limit
) {
    const SteadyTime until = steady_now() + limit;
    std::set<std::string> awaited;  // connected at some time since the waiting began
    std::string shown;
    for (;;) {
        auto answer =
            session.client.call(&v1::Admin::Stub::ListDataPlanes, v1::ListDataPlanesRequest());
        if (!answer) return answer.error();
        fill_acknowledged(*answer);
        WaitOutcome outcome;
        bool open = false;
        for (const v1::DataPlaneView& view : answer->data_planes()) {
            if (view.connected()) awaited.insert(view.dp_id());
            if (!awaited.contains(view.dp_id())) continue;
            WaitedPlane plane = judge(view, goal, unix_now());
            outcome.all = outcome.all && plane.state == State::kDone;
            open = open || is_open(plane.state);
            outcome.data_planes.push_back(std::move(plane));
        }
        if (!open || steady_now() >= until) return outcome;
        show_progress(session, outcome, shown);
        std::this_thread::sleep_for(kPoll);
    }
}

void print_outcome(Session& session, const WaitOutcome& outcome) {
    if (outcome.data_planes.empty()) {
        session.out << "no data plane is connected, so there was none to wait for\n";
        return;
    }
    if (outcome.all) {
        std::string names;
        for (const WaitedPlane& plane : outcome.data_planes) {
            names += (names.empty() ? "" : ", ") + plane.id;
        }
        session.out << fmt::format("in force on {}\n", printable(names));
        return;
    }
    for (const WaitedPlane& plane : outcome.data_planes) {
        bool done = plane.state == State::kDone;
        std::ostream& out = done ? session.out : session.err;
        out << paint(printable(plane.id), done ? Tone::kGood : Tone::kBad, session.color) << ' '
            << printable(plane.detail) << '\n';
    }
}

Json to_document(const WaitOutcome& outcome) {
    Json planes = Json::array();
    for (const WaitedPlane& plane : outcome.data_planes) {
        planes.push_back(Json{
            {"dp_id", plane.id}, {"state", name_of(plane.state)}, {"detail", plane.detail}});
    }
    return Json{{"all", outcome.all}, {"data_planes", std::move(planes)}};
}

}  // namespace balancer::cli
