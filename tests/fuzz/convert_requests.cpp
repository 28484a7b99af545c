// Requests in both directions: whole JSON or one error, and nothing left behind by the latter; cuts
// of thinking in order and inside of the body; a body that is fitted to a provider stays JSON.
#include <cstring>
#include <memory>

#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/convert/fit_request.hpp"
#include "dataplane/wire/convert/foreign_thinking.hpp"
#include "dataplane/wire/convert/request_to_anthropic.hpp"
#include "dataplane/wire/convert/request_to_openai.hpp"
#include "tests/fuzz/convert_check.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

namespace convert = wire::convert;

template <class Done>
void check_outcome(const Done& done, std::string_view out, std::string_view bytes) {
    if (done) {
        check_well_formed(out, bytes);
    } else {
        BALANCER_CHECK(out.empty() && !done.error().text().empty());
    }
}

void check_edits(std::string_view body, std::vector<wire::BodyEdit> edits) {
    for (const wire::BodyEdit& edit : edits) {
        BALANCER_CHECK(edit.span.begin < edit.span.end && edit.span.end <= body.size());
    }
    std::string out;
    for (std::string_view piece : wire::splice_body(body, std::move(edits))) out += piece;
    if (is_for_full_parser(body) && nlohmann::json::accept(body))
        BALANCER_CHECK(nlohmann::json::accept(out));
}

void check_cuts(std::string_view body, convert::ForeignThinking which, std::string_view mark = {}) {
    Result<convert::ThinkingCuts> cuts =
        convert::find_foreign_thinking(converting_reader(), body, which, mark);
    if (!cuts) return;
    std::size_t at = 0;
    for (const wire::BodyEdit& cut : cuts->cuts) {
        BALANCER_CHECK(cut.span.begin >= at);
        at = cut.span.end;
    }
    check_edits(body, std::move(cuts->cuts));
}

// Everything is taken: nothing changes. Nothing is: what is left is still JSON.
void check_fitted(std::string_view body, bool takes_all) {
    Capabilities takes = anthropic_capabilities();
    if (!takes_all) {
        takes.thinking = takes.cache_control = takes.context_management = takes.effort = takes.advanced_tools =
            takes.structured_output = takes.sampling = takes.top_k = takes.parallel_tools = takes.service_tier =
                takes.system_anywhere = false;
        takes.output_tokens_max = 2000;
    }
    auto fitted = convert::fit_request(
        converting_reader(), body, takes, takes_all ? convert::Pin::kLeave : convert::Pin::kCut
    );
    if (!fitted) {
        BALANCER_CHECK(!fitted.error().text().empty() && !convert::is_not_capable(fitted.error()));
        return;
    }
    BALANCER_CHECK(!takes_all || fitted->edits.empty());
    check_edits(body, std::move(fitted->edits));
}

}  // namespace

void convert_requests(std::string_view bytes) {
    std::unique_ptr<char[]> block(new char[bytes.size() + wire::kBodyPadding]);
    std::memcpy(block.get(), bytes.data(), bytes.size());
    std::memset(block.get() + bytes.size(), '}', wire::kBodyPadding);
    std::string_view body(block.get(), bytes.size());
    for (bool takes : {false, true}) {
        Capabilities all;
        all.images = all.documents = all.tools = all.parallel_tools = all.thinking =
            all.reasoning_effort = takes;
        all.cache_control = all.structured_output = all.sampling = all.top_k = all.stream_usage =
            takes;
        all.system_anywhere = all.max_completion_tokens = takes;
        all.output_tokens_max = takes ? 100 : 0;
        std::string out;
        check_outcome(
            convert::request_to_openai(converting_reader(), body, {"m", takes, all}, out),
            out,
            bytes
        );
    }
    std::string out;
    check_outcome(
        convert::request_to_anthropic(converting_reader(), body, {"m", true}, out), out, bytes
    );
    check_cuts(body, convert::ForeignThinking::kNotAnthropic);
    check_cuts(body, convert::ForeignThinking::kAllButOwn, "balancer-issuer-");
    check_fitted(body, true);
    check_fitted(body, false);
}

}  // namespace balancer::fuzz
