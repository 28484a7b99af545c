// Requests in both directions: whole JSON or one error, and nothing left behind by the latter; cuts
// of thinking in order and inside of the body.
#include <cstring>
#include <memory>

#include "dataplane/wire/body_scan.hpp"
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

void check_cuts(std::string_view body, convert::ForeignThinking which) {
    Result<convert::ThinkingCuts> cuts =
        convert::find_foreign_thinking(converting_reader(), body, which);
    if (!cuts) return;
    std::size_t at = 0;
    for (const auto& cut : cuts->cuts) {
        BALANCER_CHECK(
            cut.span.begin >= at && cut.span.begin < cut.span.end && cut.span.end <= body.size()
        );
        at = cut.span.end;
    }
    std::string out;
    for (std::string_view piece : convert::apply_cuts(body, *cuts)) out += piece;
    if (is_for_full_parser(body) && nlohmann::json::accept(body))
        BALANCER_CHECK(nlohmann::json::accept(out));
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
    check_cuts(body, convert::ForeignThinking::kConverted);
    check_cuts(body, convert::ForeignThinking::kAll);
}

}  // namespace balancer::fuzz
