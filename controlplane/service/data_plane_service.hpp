// The gRPC service that data planes speak to: Sync, Report and Manage.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "balancer/v1/data_plane.grpc.pb.h"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "controlplane/publish/publisher.hpp"
#include "controlplane/service/peer_clock.hpp"
#include "controlplane/service/report_ledger.hpp"
#include "controlplane/service/server_stream.hpp"

namespace balancer::controlplane {

// gRPC's threads only check the token; everything else happens on the loop, where the handlers run
// too.
//
// To stop: call shutdown() while the loop runs, then grpc::Server::Shutdown(deadline) from another
// thread (the streams end at once; the deadline is for peers that do not answer). The Publisher,
// the Log and the io_context outlive the server; the service outlives the loop's last run.
class DataPlaneService final : public v1::DataPlane::CallbackService {
  public:
    // Called once per report of a process that is connected, repeats left out. Signals first,
    // counters cumulative.
    using ReportHandler = std::function<void(
        const std::string& dp_id, const std::string& instance_id, const v1::ReportRequest& report
    )>;
    // The second argument takes the answer, from any thread, once.
    using ManageHandler = std::function<
        void(const v1::ManageRequest& request, std::function<void(v1::ManageResponse)> answer)>;

    DataPlaneService(
        boost::asio::io_context& loop,
        Log& log,
        Publisher& publisher,
        ReportHandler on_report,
        ManageHandler on_manage,
        std::string token
    );
    ~DataPlaneService() override;

    // Thread-safe. Ends every stream with Goaway SHUTDOWN and refuses new calls.
    void shutdown();

    grpc::ServerBidiReactor<v1::SyncRequest, v1::SyncResponse>* Sync(
        grpc::CallbackServerContext* context
    ) override;
    grpc::ServerBidiReactor<v1::ReportRequest, v1::ReportResponse>* Report(
        grpc::CallbackServerContext* context
    ) override;
    grpc::ServerUnaryReactor* Manage(
        grpc::CallbackServerContext* context,
        const v1::ManageRequest* request,
        v1::ManageResponse* response
    ) override;

  private:
    using SyncCall = ServerStream<v1::SyncRequest, v1::SyncResponse>;
    using ReportCall = ServerStream<v1::ReportRequest, v1::ReportResponse>;

    // Whose reports a call carries: whose its first one is.
    struct Reporter {
        std::string dp_id;
        std::string instance_id;
        PeerClock clock;
    };

    // OK, or why this call is not served.
    grpc::Status admit(const grpc::CallbackServerContext& context);
    void note_refusal(const std::string& peer);
    void take_report(ReportCall& call, Reporter& reporter, const v1::ReportRequest& said);

    boost::asio::io_context& loop_;
    Log& log_;
    Publisher& publisher_;
    const ReportHandler on_report_;
    const ManageHandler on_manage_;
    const std::string token_;
    std::atomic<bool> stopping_ = false;

    // On the loop.
    ReportLedger ledger_;
    std::vector<std::weak_ptr<ReportCall>> reports_;
    SteadyTime refusal_logged_at_{};
};

}  // namespace balancer::controlplane
