#include "dataplane/models/fetch_models.hpp"

#include <fmt/format.h>

#include <array>

#include "base/net.hpp"
#include "dataplane/upstream/response.hpp"
#include "dataplane/wire/upstream_head.hpp"

namespace balancer::dataplane {

net::awaitable<Result<Models>> fetch_models(
    WorkerState& worker,
    std::unique_ptr<UpstreamStream> stream,
    const Provider& provider,
    const ModelCall& call,
    Milliseconds timeout
) {
    SteadyTime until = steady_now() + timeout;
    ConnectFailure failed = co_await worker.connector.connect(*stream, provider, timeout);
    if (failed.failure != FailureClass::kNone) co_return invalid(failed.detail);
    std::string head;
    wire::append_models_head(head, provider, call.credentials, call.api_fields);
    std::array<net::const_buffer, 1> buffers = {net::buffer(head)};
    ErrorCode unsent = co_await stream->write(buffers, until, Milliseconds(0));
    if (unsent) co_return invalid("the request cannot be sent: " + unsent.message());

    ReadTimes times;
    times.total = until;
    UpstreamResponse response({std::move(stream), steady_now()}, worker.buffers, times);
    response.await_head();
    ReadStatus status = co_await response.read_head();
    if (status.kind == ReadStatus::Kind::kFailed) co_return invalid(status.detail);
    if (response.head().status != 200) co_return invalid(fmt::format("it answers {}", response.head().status));
    while (!response.complete()) {
        status = co_await response.read_more();
        if (status.kind == ReadStatus::Kind::kFailed) co_return invalid(status.detail);
        if (status.kind == ReadStatus::Kind::kEnd) break;
    }
    wire::convert::JsonReader reader;  // the worker's own would stay as large as the longest list
    Result<Models> models = wire::convert::read_model_list(reader, response.body());
    if (!models) co_return invalid("its answer is no list of models: " + models.error().text());
    co_return models;
}

}  // namespace balancer::dataplane
