// What one worker owns and its connections and exchanges use. One thread; nothing here is thread-safe unless it says so.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <random>
#include <string>

#include "base/task_group.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/coalesce/calls.hpp"
#include "dataplane/exchange/account_use.hpp"
#include "dataplane/process_state.hpp"
#include "dataplane/retry_budget.hpp"
#include "dataplane/sweep.hpp"
#include "dataplane/telemetry/access_log.hpp"
#include "dataplane/telemetry/log_allowance.hpp"
#include "dataplane/telemetry/metrics.hpp"
#include "dataplane/telemetry/request_ring.hpp"
#include "dataplane/upstream/connector.hpp"
#include "dataplane/upstream/pool.hpp"
#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/convert/json_reader.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

struct WorkerState {
    WorkerState(boost::asio::io_context& c, ProcessState& p, std::string worker_name, WorkerIndex index)
        : context(c),
          process(p),
          name(std::move(worker_name)),
          sweep(c),
          connector(c),
          signer(p.signature_secret),
          calls(c, p.claims, index),
          tasks(c.get_executor(), p.log),
          random(std::random_device{}()) {}

    boost::asio::io_context& context;
    ProcessState& process;
    const std::string name;
    Sweep sweep;
    BufferPool buffers;
    Connector connector;
    UpstreamPool pool;
    wire::BodyScanner scanner;
    wire::Signer signer;
    Calls calls;
    wire::convert::JsonReader json_reader;
    WorkerMetrics metrics;  // readable from any thread
    AccessLog access_log;
    RequestRing recent{unix_now()};
    LogAllowance failures_logged;
    RetryBudget retry_budget;
    AccountUseNews account_use;
    TaskGroup tasks;
    std::mt19937_64 random;
    std::shared_ptr<const Snapshot> snapshot;  // null until the first arrives
    std::shared_ptr<const HealthView> health = std::make_shared<HealthView>();
    std::uint64_t body_memory = 0;             // admitted now
    bool draining = false;                     // keep-alive ends with each answer
};

}  // namespace balancer::dataplane
