// The client's body in the form that a candidate takes: as it came, but for single values; or converted.
#include <fmt/format.h>

#include "dataplane/exchange/exchange.hpp"
#include "dataplane/exchange/openai_answer.hpp"
#include "dataplane/wire/convert/foreign_thinking.hpp"
#include "dataplane/wire/convert/request_to_openai.hpp"

namespace balancer::dataplane {

// False when the candidate cannot take this request: said in the record, and kept for the client in case that nobody can.
bool Exchange::prepare(const Candidate& candidate) {
    outgoing_ = {};
    if (candidate.provider->type == ProviderType::kAnthropic) {
        prepare_anthropic(candidate);
        return true;
    }
    Error problem;
    if (operation_ == Operation::kCountTokens) {
        problem = wire::convert::not_capable("providers of type openai do not count tokens");
    } else {
        wire::convert::ToOpenaiOptions options;
        options.model = candidate.model.empty() ? std::string_view(fields_.model) : candidate.model;
        options.stream = fields_.stream;
        options.capabilities = candidate.provider->capabilities;
        auto converted =
            wire::convert::request_to_openai(worker_.json_reader, body_.view(), options, outgoing_.converted);
        if (converted) {
            outgoing_.conversion = *std::move(converted);
            outgoing_.pieces = {outgoing_.converted};
            charge(outgoing_.converted.size());
            return true;
        }
        problem = converted.error();
    }
    record_.failed_attempts.push_back({candidate.provider->name, FailureClass::kNone, 0, problem.text()});
    wire::LocalError error;
    error.status = operation_ == Operation::kCountTokens ? 501 : 400;
    error.type = operation_ == Operation::kCountTokens ? "not_supported_error" : "invalid_request_error";
    error.message = problem.text();
    error.retry = false;
    not_taken_ = LocalFailure{Outcome::kBadRequest, std::move(error)};
    return false;
}

void Exchange::prepare_anthropic(const Candidate& candidate) {
    std::vector<wire::BodyEdit> edits = wire::edits_of(fields_, candidate.model, outgoing_.model);
    // Only where a conversion may have made them: no second look at every body.
    bool may_be_foreign =
        snapshot_->has_openai && wire::convert::may_hold_converted_thinking(body_.view());
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

std::unique_ptr<AnswerFilter> Exchange::answer_filter(const Provider& provider) {
    if (provider.type == ProviderType::kAnthropic) return nullptr;
    wire::convert::ToAnthropicOptions options;
    options.message_id = "msg_" + record_.request_id;
    options.model = fields_.model;
    options.tool_names = outgoing_.conversion.tool_names;
    options.request_id = record_.request_id;
    return std::make_unique<OpenaiAnswer>(worker_.json_reader, std::move(options), fields_.stream);
}

}  // namespace balancer::dataplane
