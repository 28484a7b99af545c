#include <fmt/format.h>

#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"

namespace balancer::cli {
namespace {

// For the way to the control plane and back.
constexpr Milliseconds kMargin{5'000};

}  // namespace

int test_provider(
    Session& session, const std::string& name, const std::string& model, Milliseconds within
) {
    v1::TestProviderRequest request;
    request.set_name(name);
    request.set_model(model);
    request.set_timeout_ms(static_cast<std::uint32_t>(within.count()));
    auto answer = session.client.call(&v1::Admin::Stub::TestProvider, request, within + kMargin);
    if (!answer) return report(session, answer.error());
    int code = answer->ok() ? kDone : kFailed;
    if (session.format != Format::kTable) {
        print_document(*answer, session.format, session.out);
        return code;
    }
    Table table({});
    table.add({"provider", Cell(answer->provider(), Tone::kBold)});
    table.add({"asked", fmt::format("{} for one token of {}", answer->url(), answer->model())});
    table.add(
        {"status",
         {answer->http_status() == 0 ? "no answer" : std::to_string(answer->http_status()),
          answer->ok() ? Tone::kGood : Tone::kBad}}
    );
    table.add({"latency", fmt::format("{} ms", answer->latency_ms())});
    if (!answer->upstream_request_id().empty()) {
        table.add({"request id", answer->upstream_request_id()});
    }
    table.add({"says", answer->message()});
    table.print(session.out, session.color);
    return code;
}

}  // namespace balancer::cli
