// The client's body in the form that a candidate takes: as it came, but for single values; or converted.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "dataplane/exchange/converted_answer.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/exchange/marked_answer.hpp"
#include "dataplane/wire/beta_headers.hpp"
#include "dataplane/wire/convert/fit_request.hpp"
#include "dataplane/wire/convert/foreign_thinking.hpp"
#include "dataplane/wire/convert/request_to_anthropic.hpp"
#include "dataplane/wire/convert/request_to_openai.hpp"

namespace balancer::dataplane {

// False when the candidate cannot take this request: said in the record, and kept for the client in case that nobody can.
bool Exchange::prepare(const Candidate& candidate) {
    drop_outgoing();
    wire::Format format = wire::format_of(*candidate.provider);
    Result<void> prepared;
    if (!is_inference() && format == wire::Format::kOpenai) {
        prepared = wire::convert::not_capable("providers of type openai do not count tokens");
    } else {
        prepared = format == format_ ? splice(candidate) : convert_body(candidate);
    }
    if (!prepared) pass_over(candidate, prepared.error());
    return prepared.has_value();
}

void Exchange::pass_over(const Candidate& candidate, const Error& problem) {
    const std::string& name = candidate.provider->name;
    record_.failed_attempts.push_back({name, FailureClass::kNone, 0, problem.text()});
    wire::LocalError error;
    error.status = is_inference() ? 400 : 501;
    error.type = is_inference() ? "invalid_request_error" : "not_supported_error";
    // A malformed request is so whoever gets it.
    bool named = wire::convert::is_not_capable(problem);
    error.message = named ? fmt::format("Provider {} cannot take this request: {}", name, problem.text()) : problem.text();
    if (named) error.provider = name;
    error.retry = false;
    not_taken_ = LocalFailure{Outcome::kBadRequest, std::move(error)};
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
    if (format_ == wire::Format::kOpenai && candidate.provider->limited) {
        if (Result<void> fitted = fit_converted(*candidate.provider); !fitted) return fitted;
    }
    outgoing_.charged = out.size();
    charge(outgoing_.charged);
    return {};
}

// Of a chat completion the table decides alone: none of the client's headers goes along.
Result<void> Exchange::fit_converted(const Provider& provider) {
    std::string& body = outgoing_.converted;
    body.reserve(body.size() + wire::kBodyPadding);
    outgoing_.pieces = {body};
    auto fitted =
        wire::convert::fit_request(worker_.json_reader, body, provider.capabilities, wire::convert::Pin::kLeave);
    if (fitted) {
        outgoing_.texts = std::move(fitted->texts);
        outgoing_.conversion.notes.add(fitted->notes);
        outgoing_.pieces = wire::splice_body(body, std::move(fitted->edits));
    } else if (wire::convert::is_not_capable(fitted.error())) {
        return fitted.error();
    }
    return {};
}

// As it came, but for single values.
Result<void> Exchange::splice(const Candidate& candidate) {
    const Provider& provider = *candidate.provider;
    std::vector<wire::BodyEdit> edits = wire::edits_of(fields_, candidate.model, outgoing_.model);
    bool takes_thinking = format_ == wire::Format::kAnthropic;
    if (takes_thinking && provider.limited) {
        Capabilities takes = wire::takes_of_request(head_.fields, provider);
        takes_thinking = takes.thinking;
        Result<void> fitted = fit(provider, takes, edits);
        if (!fitted) return fitted;
    }
    if (takes_thinking) cut_foreign_thinking(provider, edits);
    outgoing_.pieces = wire::splice_body(body_.view(), std::move(edits));
    return {};
}

// To a provider that takes less than everything.
Result<void> Exchange::fit(const Provider& provider, const Capabilities& takes, std::vector<wire::BodyEdit>& edits) {
    std::vector<std::string_view> dropped;
    for (const wire::HeaderField& field : head_.fields) {
        if (wire::equals_lower(field.name, "anthropic-beta")) wire::filter_betas(field.value, provider, &dropped);
    }
    auto pin = fields_.provider ? wire::convert::Pin::kCut : wire::convert::Pin::kLeave;
    auto fitted = wire::convert::fit_request(worker_.json_reader, body_.view(), takes, pin);
    if (fitted) {
        if (fields_.provider) edits.pop_back();  // the pin goes with what is cut beside it
        edits.insert(edits.end(), fitted->edits.begin(), fitted->edits.end());
        outgoing_.texts = std::move(fitted->texts);
        outgoing_.conversion.notes = std::move(fitted->notes);
    } else if (wire::convert::is_not_capable(fitted.error())) {
        return fitted.error();
    }
    for (std::string_view token : dropped) outgoing_.conversion.notes.add_unknown(token);
    return {};
}

// Only where somebody else may have had a part in the conversation: no second look at every body.
void Exchange::cut_foreign_thinking(const Provider& provider, std::vector<wire::BodyEdit>& edits) {
    using wire::convert::ForeignThinking;
    bool is_own = !provider.signature_mark.empty();
    if (!snapshot_->mixes_issuers) return;
    // A turn that another one answered without any thinking has no mark, but is refused where thinking has a budget.
    if (!is_own && !fields_.thinks_by_budget && !wire::convert::may_hold_marked_thinking(body_.view())) return;
    auto cuts = wire::convert::find_foreign_thinking(
        worker_.json_reader,
        body_.view(),
        is_own ? ForeignThinking::kAllButOwn : ForeignThinking::kNotAnthropic,
        provider.signature_mark
    );
    // A body that cannot be read here is the provider's to judge.
    if (!cuts) return;
    edits.insert(edits.end(), cuts->cuts.begin(), cuts->cuts.end());
    if (cuts->blocks > 0) {
        outgoing_.conversion.notes.add("thinking", fmt::format("{} foreign blocks removed", cuts->blocks));
    }
    if (cuts->thinking_off) {
        outgoing_.conversion.notes.add("thinking", "off for this request, the turn began without");
    }
}

// Whoever does not get the thinking of a turn that goes on stands behind those who do.
void Exchange::prefer_thinking(Plan& plan) {
    auto loses_it = [](const Candidate& candidate) {
        return candidate.provider->type == ProviderType::kAnthropic && !candidate.provider->capabilities.thinking;
    };
    if (plan.candidates.size() < 2 || std::none_of(plan.candidates.begin(), plan.candidates.end(), loses_it)) return;
    if (!wire::convert::is_thinking_loop(worker_.json_reader, body_.view())) return;
    std::stable_partition(plan.candidates.begin(), plan.candidates.end(), std::not_fn(loses_it));
}

// Null when the answer goes through as it comes.
std::unique_ptr<AnswerFilter> Exchange::answer_filter(const Provider& provider) {
    wire::Format from = wire::format_of(provider);
    if (from == wire::Format::kAnthropic && format_ == wire::Format::kAnthropic) {
        if (provider.signature_mark.empty()) return nullptr;
        return std::make_unique<MarkedAnswer>(worker_.json_reader, provider.signature_mark);
    }
    AnswerConversion conversion = conversion_for_client();
    conversion.from = from;
    return std::make_unique<ConvertedAnswer>(worker_.json_reader, std::move(conversion));
}

// To what the client asked for.
AnswerConversion Exchange::conversion_for_client() const {
    AnswerConversion conversion;
    conversion.to = format_;
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
    return conversion;
}

}  // namespace balancer::dataplane
