#include <fmt/format.h>

#include <thread>

#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"
#include "cli/words.hpp"

namespace balancer::cli {
namespace {

constexpr std::chrono::seconds kOnItsWay{1};

// Empty: all is well.
std::string degradation(const v1::GetStatusResponse& status) {
    if (status.providers_healthy() == 0) {
        return "no provider is healthy: see balancerctl providers list";
    }
    if (status.data_planes_connected() == 0 && status.data_planes_gone() > 0) {
        return "no data plane is connected any more: see balancerctl dataplanes list";
    }
    std::uint32_t behind = status.data_planes_connected() - status.data_planes_in_sync();
    if (behind > 0) {
        return fmt::format(
            "{} of {} data planes out of sync: see balancerctl dataplanes list",
            behind,
            status.data_planes_connected()
        );
    }
    return {};
}

void print_table(Session& session, const v1::GetStatusResponse& status) {
    Table table({});
    UnixMs now = session.now;
    table.add(
        {"control plane",
         fmt::format(
             "{} at {}, up {}",
             status.build(),
             session.client.server(),
             duration_words(Milliseconds(std::max<UnixMs>(0, now - status.started_at_ms())))
         )}
    );
    table.add(
        {"version",
         fmt::format("{} (store {})", version_words(status.head()), status.head().store_uuid())}
    );
    table.add(
        {"config",
         fmt::format(
             "{}, loaded {}, sha256 {}",
             status.config_path(),
             ago(status.config_loaded_at_ms(), now),
             status.config_sha256().substr(0, 12)
         )}
    );
    table.add(
        {"revision",
         fmt::format(
             "{}, {} ({}){}",
             status.revision().number(),
             ago(status.revision().at_ms(), now),
             status.revision().actor().empty() ? source_words(status.revision().source())
                                               : status.revision().actor(),
             status.differs_from_file() ? ", not what the file says" : ""
         )}
    );
    bool some = status.providers_healthy() > 0;
    bool all = status.providers_healthy() == status.providers_total();
    table.add(
        {"providers",
         {fmt::format("{} of {} healthy", status.providers_healthy(), status.providers_total()),
          !some ? Tone::kBad
          : all ? Tone::kGood
                : Tone::kWarn}}
    );
    bool in_sync = status.data_planes_connected() == status.data_planes_in_sync();
    table.add(
        {"data planes",
         {fmt::format(
              "{} connected, {} in sync{}",
              status.data_planes_connected(),
              status.data_planes_in_sync(),
              status.data_planes_gone() == 0
                  ? std::string()
                  : fmt::format(", {} gone in the last hour", status.data_planes_gone())
          ),
          in_sync ? Tone::kPlain : Tone::kBad}}
    );
    table.print(session.out, session.color);
    if (!status.last_reload_error().empty()) {
        session.out << paint("last reload refused ", Tone::kBad, session.color)
                    << ago(status.last_reload_error_at_ms(), now)
                    << "; what was in force before stays:\n"
                    << status.last_reload_error() << '\n';
    }
    for (const std::string& notice : status.notices()) {
        session.out << paint("note: ", Tone::kWarn, session.color) << printable(notice) << '\n';
    }
}

}  // namespace

int status(Session& session) {
    auto answer = session.client.call(&v1::Admin::Stub::GetStatus, v1::GetStatusRequest());
    // Who has just come has acknowledged nothing yet: asked once more before it is called out of sync.
    if (answer && answer->data_planes_in_sync() < answer->data_planes_connected()) {
        std::this_thread::sleep_for(kOnItsWay);
        answer = session.client.call(&v1::Admin::Stub::GetStatus, v1::GetStatusRequest());
    }
    if (!answer) return report(session, answer.error());
    if (session.format == Format::kTable) {
        print_table(session, *answer);
    } else {
        print_document(*answer, session.format, session.out);
    }
    std::string degraded = degradation(*answer);
    if (degraded.empty()) return kDone;
    session.err << paint("degraded: ", Tone::kBad, session.err_color) << degraded << '\n';
    return kDegraded;
}

}  // namespace balancer::cli
