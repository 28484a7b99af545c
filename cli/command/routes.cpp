#include <fmt/format.h>

#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"

namespace balancer::cli {

int list_routes(Session& session) {
    auto answer = session.client.call(&v1::Admin::Stub::ListRoutes, v1::ListRoutesRequest());
    if (!answer) return report(session, answer.error());
    if (session.format != Format::kTable) {
        print_document(*answer, session.format, session.out);
        return kDone;
    }
    Table table({"PATTERN", "PROVIDER", "MODEL SENT", "PRIORITY", "ENABLED"});
    for (const v1::Route& route : answer->routes()) {
        std::string pattern = route.pattern();
        for (const v1::RouteTarget& target : route.targets()) {
            table.add(
                {std::exchange(pattern, std::string()),
                 target.provider(),
                 target.model().empty() ? "(the client's)" : target.model(),
                 std::to_string(target.priority()),
                 target.enabled() ? Cell("yes") : Cell("no", Tone::kDim)}
            );
        }
        if (!pattern.empty()) table.add({pattern, Cell("(nobody)", Tone::kWarn)});
    }
    table.print(session.out, session.color);
    return kDone;
}

}  // namespace balancer::cli
