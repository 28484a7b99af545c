#include "dataplane/exchange/marked_answer.hpp"

namespace balancer::dataplane {

bool MarkedAnswer::begin(wire::ResponseHead& head) {
    auto coding = wire::find_field(head.fields, "content-encoding");
    if (head.status >= 300 || (coding && !wire::list_contains(*coding, "identity"))) return false;
    if (wire::is_event_stream(head)) stream_.emplace(reader_, mark_);
    return true;
}

AnswerFilter::Step MarkedAnswer::feed(std::string_view bytes, std::string& out) {
    if (stream_) {
        if (!stream_->feed(bytes, out)) return {FailureClass::kProtocol, "one event is larger than 8 MiB"};
    } else if (held_.size() + bytes.size() > kWholeBytesMax) {
        return {FailureClass::kProtocol, "the answer is larger than 64 MiB"};
    } else {
        held_.append(bytes);
    }
    return {};
}

AnswerFilter::Step MarkedAnswer::end(std::string& out) {
    if (stream_) {
        stream_->end(out);
    } else {
        wire::convert::mark_message(reader_, held_, mark_, out);
    }
    return {};
}

}  // namespace balancer::dataplane
