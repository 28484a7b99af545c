#include "dataplane/exchange/openai_answer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/convert/answer_to_anthropic.hpp"
#include "dataplane/wire/convert/error_to_anthropic.hpp"
#include "dataplane/wire/convert/expand.hpp"

namespace balancer::dataplane {

using wire::convert::StreamFault;
using wire::convert::StreamState;

namespace {

constexpr std::string_view kEventStream = "text/event-stream; charset=utf-8";
constexpr std::string_view kJson = "application/json";

void set_content_type(wire::ResponseHead& head, std::string_view type) {
    auto field = std::find_if(head.fields.begin(), head.fields.end(), [](const wire::HeaderField& one) {
        return wire::equals_lower(one.name, "content-type");
    });
    if (field == head.fields.end()) {
        head.fields.push_back({"content-type", type});
    } else {
        field->value = type;
    }
}

FailureClass class_of(StreamFault fault) {
    return fault == StreamFault::kCut ? FailureClass::kBrokenStream : FailureClass::kProtocol;
}

}  // namespace

OpenaiAnswer::OpenaiAnswer(
    wire::convert::JsonReader& reader, wire::convert::ToAnthropicOptions options, bool client_wants_stream
)
    : reader_(reader), options_(std::move(options)), client_wants_stream_(client_wants_stream) {}

void OpenaiAnswer::begin(wire::ResponseHead& head) {
    is_error_ = head.status >= 300;
    if (!is_error_ && wire::is_event_stream(head)) {
        stream_.emplace(reader_, options_);
        if (!client_wants_stream_) aggregate_.emplace(reader_);
    }
    set_content_type(head, client_wants_stream_ && !is_error_ ? kEventStream : kJson);
}

AnswerFilter::Step OpenaiAnswer::feed(std::string_view bytes, std::string& out) {
    if (stream_) {
        stream_->feed(bytes, aggregate_ ? events_ : out);
        return aggregate_ ? put_together(out) : look_for_fault(out);
    }
    if (held_.size() + bytes.size() > kWholeBytesMax) {
        return {FailureClass::kProtocol, "the answer is larger than 64 MiB"};
    }
    held_.append(bytes);
    return {};
}

AnswerFilter::Step OpenaiAnswer::end(wire::ResponseHead& head, std::string& out) {
    if (is_error_) {
        wire::LocalError error = wire::convert::error_to_anthropic(reader_, head.status, held_);
        head.status = error.status;
        out += wire::error_json(error, options_.request_id);
        return {};
    }
    if (!stream_) return convert_whole(out);
    stream_->end(aggregate_ ? events_ : out);
    if (!aggregate_) return look_for_fault(out);
    Step step = put_together(out);
    if (step.failure != FailureClass::kNone || fault_told_) return step;
    aggregate_->end();
    if (aggregate_->state().fault != StreamFault::kNone) {
        return {class_of(aggregate_->state().fault), aggregate_->state().error.message};
    }
    aggregate_->append_message(out);
    return {};
}

// A stream for a client that wants a whole message: nothing has gone out yet, so every fault can still be told as one.
AnswerFilter::Step OpenaiAnswer::put_together(std::string& out) {
    const StreamState& state = stream_->state();
    if (state.fault == StreamFault::kNone) {
        aggregate_->feed(events_);
        events_.clear();
        return {};
    }
    if (std::exchange(fault_told_, true)) return {};
    if (state.fault == StreamFault::kProviderError) return tell_error(state.error, out);
    return {class_of(state.fault), state.error.message};
}

// Once content has gone out the error is in the stream already.
AnswerFilter::Step OpenaiAnswer::look_for_fault(std::string& out) {
    const StreamState& state = stream_->state();
    if (state.fault == StreamFault::kNone || std::exchange(fault_told_, true) || state.begun) return {};
    if (state.fault == StreamFault::kProviderError) return tell_error(state.error, out);
    return {class_of(state.fault), state.error.message};
}

// An error inside of a success, in the form in which the Messages API has it there.
AnswerFilter::Step OpenaiAnswer::tell_error(const wire::LocalError& error, std::string& out) const {
    out += client_wants_stream_ ? wire::error_event(error.type, error.message, options_.request_id)
                                : wire::error_json(error, options_.request_id);
    return {};
}

AnswerFilter::Step OpenaiAnswer::convert_whole(std::string& out) {
    if (wire::is_error_object(held_)) {
        return tell_error(wire::convert::error_to_anthropic(reader_, 200, held_), out);
    }
    std::string message;
    auto usage = wire::convert::answer_to_anthropic(reader_, held_, options_, message);
    if (!usage) return {FailureClass::kProtocol, "no chat completion: " + usage.error().text()};
    if (!client_wants_stream_) {
        out += message;
        return {};
    }
    auto expanded = wire::convert::expand_message(reader_, message, out);
    if (!expanded) return {FailureClass::kProtocol, "no chat completion: " + expanded.error().text()};
    return {};
}

}  // namespace balancer::dataplane
