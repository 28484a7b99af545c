#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"

namespace balancer::cli {
namespace {

using Json = nlohmann::ordered_json;

// Between two tries to reach a control plane that has gone.
constexpr Milliseconds kRetry{1'000};

std::string utc(UnixMs at, const char* format) {
    return fmt::format(fmt::runtime(format), fmt::gmtime(static_cast<std::time_t>(at / 1000)));
}

Tone tone_of(const std::string& level) {
    if (level == "error") return Tone::kBad;
    return level == "warning" ? Tone::kWarn : Tone::kDim;
}

void print_line(Session& session, const v1::Event& event) {
    std::string fields;
    for (const v1::EventField& field : event.fields()) {
        if (!field.value().empty()) fields += fmt::format(" {}={}", field.name(), field.value());
    }
    session.out << utc(event.at_ms(), "{:%m-%d %H:%M:%S}") << "  "
                << paint(fmt::format("{:<7}", event.level()), tone_of(event.level()), session.color)
                << "  " << event.type() << ": " << printable(event.message())
                << paint(printable(fields), Tone::kDim, session.color)
                << paint("  " + event.id(), Tone::kDim, session.color) << std::endl;
}

Json to_document(const v1::Event& event) {
    Json fields = Json::object();
    for (const v1::EventField& field : event.fields()) fields[field.name()] = field.value();
    return {
        {"id", event.id()},
        {"timestamp",
         utc(event.at_ms(), "{:%Y-%m-%dT%H:%M:%S}") + fmt::format(".{:03}Z", event.at_ms() % 1000)},
        {"level", event.level()},
        {"event", event.type()},
        {"message", event.message()},
        {"fields", std::move(fields)},
    };
}

// One object a line, or one YAML document each.
void print_for_scripts(Session& session, const Json& document) {
    if (session.format == Format::kJson) {
        session.out << document.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
        return;
    }
    session.out << "---\n";
    print_document(document, session.format, session.out);
    session.out.flush();
}

void print_gap(Session& session, const v1::EventGap& gap) {
    if (session.format == Format::kTable) {
        session.out << paint(printable(gap.detail()), Tone::kWarn, session.color) << std::endl;
        return;
    }
    print_for_scripts(
        session, {{"event", "gap"}, {"dropped", gap.dropped()}, {"message", gap.detail()}}
    );
}

}  // namespace

int watch_events(Session& session, const EventsWanted& wanted) {
    v1::WatchEventsRequest request;
    request.set_since(wanted.since);
    for (const std::string& type : wanted.types) request.add_types(type);
    request.set_follow(wanted.follow);
    std::size_t printed = 0;
    bool reached = false;
    auto enough = [&] { return wanted.count != 0 && printed >= wanted.count; };
    std::function<bool(const v1::WatchEventsResponse&)> take =
        [&](const v1::WatchEventsResponse& response) {
            reached = true;
            if (response.has_gap()) {
                print_gap(session, response.gap());
                return true;
            }
            if (session.format == Format::kTable) {
                print_line(session, response.event());
            } else {
                print_for_scripts(session, to_document(response.event()));
            }
            request.set_since(response.event().id());
            ++printed;
            return !enough();
        };
    for (bool said = false;;) {
        reached = false;
        Result<void> ended =
            session.client.watch(&v1::Admin::Stub::WatchEvents, request, wanted.follow, take);
        if (enough() || (ended && !wanted.follow)) return kDone;
        // Who has never been let in is told why; a follower waits for who has gone.
        bool followed = !request.since().empty() || reached;
        bool waits = wanted.follow && followed && (ended || is_away(ended.error()));
        if (!waits) return ended ? kDone : report(session, ended.error());
        if (reached) said = false;
        if (!std::exchange(said, true)) {
            session.err << "balancerctl: the control plane has gone; waiting until it is back"
                        << std::endl;
        }
        std::this_thread::sleep_for(kRetry);
    }
}

}  // namespace balancer::cli
