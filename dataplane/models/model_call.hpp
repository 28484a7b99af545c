// What a worker asks when a client wants to know which models there are.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/wire/convert/model_list.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

using Models = std::vector<wire::convert::ListedModel>;

struct ModelCall {
    std::shared_ptr<const Snapshot> snapshot;
    // The client's own credential fields, for passthrough providers; none of them a key of the balancer.
    std::vector<std::pair<std::string, std::string>> credentials;
    // Its anthropic-version and anthropic-beta go along: a credential may be good only with the right ones.
    std::vector<std::pair<std::string, std::string>> api_fields;
    std::string id;  // only this one; empty: all
};

// What the routes can serve, as far as is known. Called once for each call, on any thread.
using ModelDone = std::function<void(Models)>;

// How it stands with a provider's list.
struct ModelListStatus {
    std::string provider;
    std::size_t models = 0;
    std::uint64_t listed = 0;  // requests for it that went well
    std::uint64_t failed = 0;
};

}  // namespace balancer::dataplane
