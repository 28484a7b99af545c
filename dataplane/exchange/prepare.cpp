// The client's body in the form that a candidate takes: as it came, but for single values; or converted.
#include <fmt/format.h>

#include "dataplane/exchange/converted_answer.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/wire/convert/foreign_thinking.hpp"
#include "dataplane/wire/convert/request_to_anthropic.hpp"
#include "dataplane/wire/convert/request_to_openai.hpp"

namespace balancer::dataplane {

// False when the candidate cannot take this request: said in the record, and kept for the client in case that nobody can.
bool Exchange::prepare(const Candidate& candidate) {
    drop_outgoing();
    wire::Format format = wire::format_of(*candidate.provider);
    bool counts = !is_inference() && format == wire::Format::kOpenai;
    Result<void> converted;
    if (counts) {
        converted = wire::convert::not_capable("providers of type openai do not count tokens");
    } else if (format != format_) {
        converted = convert_body(candidate);
    } else {
        splice(candidate);
    }
    if (converted) return true;
    std::string problem = converted.error().text();
    record_.failed_attempts.push_back({candidate.provider->name, FailureClass::kNone, 0, problem});
    wire::LocalError error;
    error.status = counts ? 501 : 400;
    error.type = counts ? "not_supported_error" : "invalid_request_error";
    error.message = std::move(problem);
    error.retry = false;
    not_taken_ = LocalFailure{Outcome::kBadRequest, std::move(error)};
    return false;
}

// To a provider of the other format.
Result<void> Exchange::convert_body(const Candidate& candidate) {
    std::string_view model = candidate.model.empty() ? std::string_view(fields_.model) : candidate.model;
    std::string& out = outgoing_.converted;
    if (format_ == wire::Format::kAnthropic) {
        wire::convert::ToOpenaiOptions options{model, fields_.stream, candidate.provider->capabilities};
        auto done = wire::convert::request_to_openai(worker_.json_reader, body_.view(), options, out);
        if (!done) return done.error();
        outgoing_.conversion = *std::move(done);
    } else {
        wire::convert::RequestToAnthropicOptions options{model, fields_.stream};
        auto done = wire::convert::request_to_anthropic(worker_.json_reader, body_.view(), options, out);
        if (!done) return done.error();
        outgoing_.conversion.notes = std::move(done->notes);
        outgoing_.include_usage = done->include_usage;
    }
    outgoing_.pieces = {out};
    outgoing_.charged = out.size();
    charge(outgoing_.charged);
    return {};
}

// As it came, but for single values.
void Exchange::splice(const Candidate& candidate) {
    std::vector<wire::BodyEdit> edits = wire::edits_of(fields_, candidate.model, outgoing_.model);
    // Only where a conversion may have made them: no second look at every body.
    bool may_be_foreign = format_ == wire::Format::kAnthropic && snapshot_->has_openai &&
                          wire::convert::may_hold_converted_thinking(body_.view());
    if (may_be_foreign) {
        auto cuts = wire::convert::find_foreign_thinking(
            worker_.json_reader, body_.view(), wire::convert::ForeignThinking::kConverted
        );
        // A body that cannot be read here is the provider's to judge.
        if (cuts) {
            for (const auto& cut : cuts->cuts) edits.push_back({cut.span, cut.with});
            if (cuts->blocks > 0) {
                outgoing_.conversion.notes.add("thinking", fmt::format("{} foreign blocks removed", cuts->blocks));
            }
        }
    }
    outgoing_.pieces = wire::splice_body(body_.view(), std::move(edits));
}

// Null when provider and client both speak Anthropic's format.
std::unique_ptr<AnswerFilter> Exchange::answer_filter(const Provider& provider) {
    AnswerConversion conversion;
    conversion.from = wire::format_of(provider);
    conversion.to = format_;
    if (conversion.from == wire::Format::kAnthropic && conversion.to == wire::Format::kAnthropic) return nullptr;
    conversion.stream = fields_.stream;
    conversion.to_anthropic.message_id = "msg_" + record_.request_id;
    conversion.to_anthropic.model = fields_.model;
    conversion.to_anthropic.tool_names = outgoing_.conversion.tool_names;
    conversion.to_anthropic.request_id = record_.request_id;
    conversion.to_openai.completion_id = "chatcmpl-" + record_.request_id;
    conversion.to_openai.model = fields_.model;
    conversion.to_openai.created = static_cast<std::uint64_t>(record_.at / 1000);
    conversion.to_openai.include_usage = outgoing_.include_usage;
    conversion.to_openai.request_id = record_.request_id;
    return std::make_unique<ConvertedAnswer>(worker_.json_reader, std::move(conversion));
}

}  // namespace balancer::dataplane
