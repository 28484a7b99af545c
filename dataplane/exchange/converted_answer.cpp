#include "dataplane/exchange/converted_answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/convert/error_to_anthropic.hpp"
#include "dataplane/wire/convert/expand.hpp"
#include "dataplane/wire/openai_error.hpp"

namespace balancer::dataplane {

using wire::Format;
using wire::convert::StreamFault;
using wire::convert::StreamState;

namespace {

constexpr std::string_view kEventStream = "text/event-stream; charset=utf-8";
constexpr std::string_view kJson = "application/json";

bool is_json(const wire::ResponseHead& head) {
    auto type = wire::find_field(head.fields, "content-type");
    return type && wire::equals_lower(type->substr(0, kJson.size()), kJson);
}

FailureClass class_of(StreamFault fault) {
    return fault == StreamFault::kCut ? FailureClass::kBrokenStream : FailureClass::kProtocol;
}

AnswerFilter::Step no_answer(const Error& error) {
    return {FailureClass::kProtocol, "not the API's answer: " + error.text()};
}

}  // namespace

ConvertedAnswer::ConvertedAnswer(wire::convert::JsonReader& reader, AnswerConversion conversion)
    : reader_(reader), conversion_(std::move(conversion)) {}

bool ConvertedAnswer::begin(wire::ResponseHead& head) {
    if (head.status >= 300) return false;
    bool streams = wire::is_event_stream(head);
    bool other_mode = streams != conversion_.stream && (streams || is_json(head));
    if (conversion_.from == conversion_.to && !other_mode) return false;
    if (streams && conversion_.from == Format::kOpenai) from_openai_.emplace(reader_, conversion_.to_anthropic);
    if (streams && !conversion_.stream) aggregate_.emplace(reader_);
    if (streams && conversion_.stream && conversion_.to == Format::kOpenai) {
        to_openai_.emplace(reader_, conversion_.to_openai);
    }
    wire::set_field(head.fields, "content-type", conversion_.stream ? kEventStream : kJson);
    return true;
}

AnswerFilter::Step ConvertedAnswer::feed(std::string_view bytes, std::string& out) {
    if (from_openai_ || aggregate_ || to_openai_) {
        pass_through(bytes, out);
        return look_for_fault(out);
    }
    if (held_.size() + bytes.size() > kWholeBytesMax) {
        return {FailureClass::kProtocol, "the answer is larger than 64 MiB"};
    }
    held_.append(bytes);
    return {};
}

AnswerFilter::Step ConvertedAnswer::end(std::string& out) {
    if (!from_openai_ && !aggregate_ && !to_openai_) return convert_whole(out);
    if (to_openai_) to_openai_->end(out);
    if (from_openai_) {
        from_openai_->end(aggregate_ ? events_ : out);
        gather();
    }
    if (aggregate_) aggregate_->end();
    Step step = look_for_fault(out);
    if (!aggregate_ || fault_told_) return step;
    std::string message;
    aggregate_->append_message(message);
    return append_whole(message, out);
}

bool ConvertedAnswer::finish(std::string& out) {
    if (from_openai_ && !from_openai_->finish(aggregate_ ? events_ : out)) return false;
    gather();
    if (!aggregate_) return from_openai_ || (to_openai_ && to_openai_->state().finished);
    if (!aggregate_->state().finished || fault_told_) return false;
    std::string message;
    aggregate_->append_message(message);
    return append_whole(message, out).failure == FailureClass::kNone;
}

// A stream goes to the client through one of the converters, or into the aggregate.
void ConvertedAnswer::pass_through(std::string_view bytes, std::string& out) {
    if (to_openai_) return to_openai_->feed(bytes, out);
    if (!from_openai_) return aggregate_->feed(bytes);
    from_openai_->feed(bytes, aggregate_ ? events_ : out);
    gather();
}

void ConvertedAnswer::gather() {
    if (!aggregate_) return;
    aggregate_->feed(events_);
    events_.clear();
}

// The first stage that found a fault: what comes behind it follows from that.
const StreamState* ConvertedAnswer::faulty() const {
    if (from_openai_ && from_openai_->state().fault != StreamFault::kNone) return &from_openai_->state();
    if (to_openai_ && to_openai_->state().fault != StreamFault::kNone) return &to_openai_->state();
    if (aggregate_ && aggregate_->state().fault != StreamFault::kNone) return &aggregate_->state();
    return nullptr;
}

FailureClass ConvertedAnswer::stream_fault() const {
    const StreamState* state = faulty();
    bool broken = state != nullptr && state->begun && state->fault != StreamFault::kProviderError;
    return broken ? class_of(state->fault) : FailureClass::kNone;
}

// Once content of a stream has gone out the error is in it already; an aggregate has told nothing so far.
AnswerFilter::Step ConvertedAnswer::look_for_fault(std::string& out) {
    const StreamState* state = faulty();
    if (state == nullptr || std::exchange(fault_told_, true) || (state->begun && !aggregate_)) return {};
    if (state->fault == StreamFault::kProviderError) return tell_error(state->error, out);
    return {class_of(state->fault), state->error.message};
}

AnswerFilter::Step ConvertedAnswer::tell_error(const wire::LocalError& error, std::string& out) const {
    const std::string& id = conversion_.to_anthropic.request_id;
    out += conversion_.stream ? wire::error_event(Format::kAnthropic, error, id)
                              : wire::error_json(Format::kAnthropic, error, id);
    return {};
}

AnswerFilter::Step ConvertedAnswer::convert_whole(std::string& out) {
    std::string message;
    if (conversion_.from == Format::kOpenai) {
        auto usage = wire::convert::answer_to_anthropic(reader_, held_, conversion_.to_anthropic, message);
        if (!usage && wire::convert::is_told_error(usage.error())) {
            return tell_error(wire::convert::error_to_anthropic(reader_, 200, held_), out);
        }
        if (!usage) return no_answer(usage.error());
    } else if (wire::is_error_object(held_)) {
        return tell_error(wire::anthropic_error(200, held_), out);
    } else {
        message.swap(held_);
    }
    return conversion_.stream ? append_stream(message, out) : append_whole(message, out);
}

AnswerFilter::Step ConvertedAnswer::append_whole(std::string_view message, std::string& out) {
    if (conversion_.to == Format::kAnthropic) {
        out += message;
        return {};
    }
    wire::convert::ToOpenaiAnswerOptions options = conversion_.to_openai;
    options.usage_known = !from_openai_ || from_openai_->state().has_usage;
    auto usage = wire::convert::answer_to_openai(reader_, message, options, out);
    return usage ? Step{} : no_answer(usage.error());
}

AnswerFilter::Step ConvertedAnswer::append_stream(std::string_view message, std::string& out) {
    std::string events;
    bool openai = conversion_.to == Format::kOpenai;
    auto expanded = wire::convert::expand_message(reader_, message, openai ? events : out);
    if (!expanded) return no_answer(expanded.error());
    if (!openai) return {};
    wire::convert::StreamToOpenai chunks(reader_, conversion_.to_openai);
    chunks.feed(events, out);
    chunks.end(out);
    return {};
}

}  // namespace balancer::dataplane
