// One request to a provider for its list of models.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "base/result.hpp"
#include "dataplane/models/model_call.hpp"
#include "dataplane/worker_state.hpp"

namespace balancer::dataplane {

// On a connection of its own, within `timeout`; stream.abort() ends it. The error says in words why there is none, and holds
// nothing of a credential. A passthrough provider gets the client's own fields.
boost::asio::awaitable<Result<Models>> fetch_models(
    WorkerState& worker,
    std::unique_ptr<UpstreamStream> stream,
    const Provider& provider,
    const ModelCall& call,
    Milliseconds timeout
);

}  // namespace balancer::dataplane
