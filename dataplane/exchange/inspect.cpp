// What the request asks for, found in one pass over its body.
#include "dataplane/exchange/exchange.hpp"

namespace balancer::dataplane {

Exchange::Refusal Exchange::inspect() {
    Result<wire::BodyFields> fields = worker_.scanner.scan(body_.view(), format_);
    if (!fields) {
        wire::LocalError error;
        error.status = 400;
        error.type = "invalid_request_error";
        error.message = fields.error().text();
        error.retry = false;
        return LocalFailure{Outcome::kBadRequest, std::move(error)};
    }
    fields_ = *std::move(fields);
    session_ = session_of(head_, fields_, settings().sticky_scope);
    record_.model = fields_.model;
    record_.stream = fields_.stream;
    record_.session = session_.name;
    if (settings().log_bodies) {
        worker_.process.log.emit(
            LogLevel::kInfo, LogEvent::kBody, body_.view(), {{"request_id", record_.request_id}}
        );
    }
    return {};
}

}  // namespace balancer::dataplane
