#include "controlplane/service/data_plane_service.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <utility>

#include "base/file.hpp"
#include "controlplane/publish/registry.hpp"
#include "controlplane/service/peer_bounds.hpp"
#include "controlplane/service/unary_call.hpp"
#include "model/protocol.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::string_view kTokenHint =
    "the data plane's token is not this control plane's; it must be the content of the file "
    "dataplane.token in the control plane's state directory";

constexpr Milliseconds kRefusalLogGap{30'000};

// A call that ends with `status` and nothing else.
template <class Request, class Response>
class RefusedStream final : public grpc::ServerBidiReactor<Request, Response> {
  public:
    explicit RefusedStream(const grpc::Status& status) { this->Finish(status); }
    void OnDone() override { delete this; }
};

// The publisher's view of a Sync call.
class SyncOverGrpc final : public SyncStream {
  public:
    using Call = ServerStream<v1::SyncRequest, v1::SyncResponse>;
    explicit SyncOverGrpc(std::shared_ptr<Call> call) : call_(std::move(call)) {}
    void send(v1::SyncResponse message) override { call_->send(std::move(message)); }
    bool busy() const override { return call_->busy(); }
    void finish() override { call_->finish(grpc::Status::OK); }

  private:
    std::shared_ptr<Call> call_;
};

grpc::Status bad_id(const char* what) {
    return {
        grpc::StatusCode::INVALID_ARGUMENT,
        fmt::format("{} must be 1 to 64 of the characters A-Z a-z 0-9 . _ -", what)
    };
}

}  // namespace

DataPlaneService::DataPlaneService(
    boost::asio::io_context& loop,
    Log& log,
    Publisher& publisher,
    ReportHandler on_report,
    ManageHandler on_manage,
    std::string token
)
    : loop_(loop),
      log_(log),
      publisher_(publisher),
      on_report_(std::move(on_report)),
      on_manage_(std::move(on_manage)),
      token_(std::move(token)) {}

DataPlaneService::~DataPlaneService() = default;

void DataPlaneService::shutdown() {
    stopping_ = true;
    boost::asio::post(loop_, [this] {
        publisher_.registry().shutdown();
        for (const std::weak_ptr<ReportCall>& weak : reports_) {
            if (auto call = weak.lock()) {
                call->finish({grpc::StatusCode::UNAVAILABLE, "the control plane is stopping"});
            }
        }
        reports_.clear();
    });
}

grpc::ServerBidiReactor<v1::SyncRequest, v1::SyncResponse>* DataPlaneService::Sync(
    grpc::CallbackServerContext* context
) {
    grpc::Status admitted = admit(*context);
    if (!admitted.ok()) return new RefusedStream<v1::SyncRequest, v1::SyncResponse>(admitted);
    auto call = std::make_shared<SyncCall>(loop_, context);
    auto id = std::make_shared<Publisher::Registry::Id>(0);  // written and read on the loop
    // Handlers run on the loop in the order of posting, so the registry knows the stream before its
    // first message.
    boost::asio::post(loop_, [this, call, id, peer = context->peer()] {
        *id = publisher_.registry().open(std::make_shared<SyncOverGrpc>(call), peer);
    });
    SyncCall::Handlers handlers;
    handlers.on_message = [this, id, weak = std::weak_ptr(call)](const v1::SyncRequest& said) {
        v1::SyncRequest request = said;
        bound(request);
        bool hello = request.has_hello();
        if (hello && !is_data_plane_id(request.hello().dp_id())) {
            publisher_.registry().closed(*id);
            if (auto self = weak.lock()) self->finish(bad_id("the data plane's id"));
            return;
        }
        if (hello && !is_data_plane_id(request.hello().instance_id())) {
            publisher_.registry().closed(*id);
            if (auto self = weak.lock()) self->finish(bad_id("the instance id"));
            return;
        }
        publisher_.registry().received(*id, request);
    };
    handlers.on_end = [this, id] { publisher_.registry().closed(*id); };
    call->start(std::move(handlers));
    return call.get();
}

grpc::ServerBidiReactor<v1::ReportRequest, v1::ReportResponse>* DataPlaneService::Report(
    grpc::CallbackServerContext* context
) {
    grpc::Status admitted = admit(*context);
    if (!admitted.ok()) return new RefusedStream<v1::ReportRequest, v1::ReportResponse>(admitted);
    auto call = std::make_shared<ReportCall>(loop_, context);
    boost::asio::post(loop_, [this, call] {
        std::erase_if(reports_, [](const auto& weak) { return weak.expired(); });
        reports_.push_back(call);
        // shutdown() may have passed over the list between admission and this line.
        if (stopping_)
            call->finish({grpc::StatusCode::UNAVAILABLE, "the control plane is stopping"});
    });
    ReportCall::Handlers handlers;
    handlers.on_message = [this, weak = std::weak_ptr(call), reporter = Reporter()](
                              const v1::ReportRequest& report
                          ) mutable {
        if (auto self = weak.lock()) take_report(*self, reporter, report);
    };
    call->start(std::move(handlers));
    return call.get();
}

grpc::ServerUnaryReactor* DataPlaneService::Manage(
    grpc::CallbackServerContext* context,
    const v1::ManageRequest* request,
    v1::ManageResponse* response
) {
    auto call = std::make_shared<UnaryCall<v1::ManageResponse>>(response);
    call->start();
    grpc::Status admitted = admit(*context);
    if (!admitted.ok()) {
        call->fail(admitted);
        return call.get();
    }
    // A copy of the request: gRPC's own dies with the call, which may be cancelled before the loop
    // comes to it.
    boost::asio::post(loop_, [this, call, copy = *request] {
        on_manage_(copy, [call](v1::ManageResponse answer) { call->answer(std::move(answer)); });
    });
    return call.get();
}

grpc::Status DataPlaneService::admit(const grpc::CallbackServerContext& context) {
    if (stopping_) return {grpc::StatusCode::UNAVAILABLE, "the control plane is stopping"};
    constexpr std::string_view kScheme = "Bearer ";
    auto given = context.client_metadata().find("authorization");
    if (given != context.client_metadata().end()) {
        std::string_view value(given->second.data(), given->second.size());
        if (value.starts_with(kScheme) && !token_.empty() &&
            equal_in_constant_time(value.substr(kScheme.size()), token_)) {
            return grpc::Status::OK;
        }
    }
    boost::asio::post(loop_, [this, peer = context.peer()] { note_refusal(peer); });
    return {grpc::StatusCode::UNAUTHENTICATED, std::string(kTokenHint)};
}

// A refused data plane tries again every few seconds: one line in a while is enough.
void DataPlaneService::note_refusal(const std::string& peer) {
    SteadyTime now = steady_now();
    if (refusal_logged_at_ != SteadyTime{} && now - refusal_logged_at_ < kRefusalLogGap) return;
    refusal_logged_at_ = now;
    log_.emit(
        LogLevel::kWarning,
        LogEvent::kDataPlaneRefused,
        fmt::format("a call from {} is refused: {}", peer, kTokenHint),
        {{"peer", peer}}
    );
}

void DataPlaneService::take_report(
    ReportCall& call, Reporter& reporter, const v1::ReportRequest& said
) {
    v1::ReportRequest report = said;
    const UnixMs now = unix_now();
    reporter.clock.heard(report.sent_at_ms(), now);
    bound(report, now, reporter.clock.behind());
    if (!is_data_plane_id(report.dp_id()) || !is_data_plane_id(report.instance_id())) {
        call.finish(bad_id("the ids of a report"));
        return;
    }
    if (reporter.dp_id.empty()) {
        reporter.dp_id = report.dp_id();
        reporter.instance_id = report.instance_id();
    }
    if (report.dp_id() != reporter.dp_id || report.instance_id() != reporter.instance_id) {
        call.finish(
            {grpc::StatusCode::INVALID_ARGUMENT, "a Report call speaks for one data plane"}
        );
        return;
    }
    // A vote is of who is connected: whoever makes up names would have many. One whose Sync stream
    // has just been lost sends this report again when it has another, since it is not acknowledged.
    if (!publisher_.registry().connected(report.dp_id(), report.instance_id())) {
        call.finish(
            {grpc::StatusCode::UNAVAILABLE,
             fmt::format("data plane {} has no Sync stream: reports wait for one", report.dp_id())}
        );
        return;
    }
    if (ledger_.take(report.instance_id(), report.report_seq())) {
        publisher_.registry().signals_dropped(
            report.dp_id(), report.instance_id(), report.signals_dropped()
        );
        on_report_(report.dp_id(), report.instance_id(), report);
    }
    v1::ReportResponse response;
    response.set_acked_report_seq(report.report_seq());
    call.send(std::move(response));
}

}  // namespace balancer::controlplane
