// The Admin service of admin.proto: checks the token, hands each call to the control plane's loop,
// masks the answer.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "balancer/v1/admin.grpc.pb.h"
#include "base/log.hpp"
#include "base/result.hpp"
#include "controlplane/control_plane.hpp"
#include "controlplane/service/event_feed.hpp"
#include "controlplane/service/event_ring.hpp"

namespace balancer::controlplane {

// Methods are called on gRPC's threads and do nothing there but check the token and post. The loop
// must run until the gRPC server has shut down: each call ends there.
class AdminService final : public v1::Admin::CallbackService {
  public:
    AdminService(
        boost::asio::io_context& context,
        Log& log,
        ControlPlane& control_plane,
        std::shared_ptr<EventRing> events,
        std::string token
    );
    ~AdminService() override;

    // Thread-safe, while the loop runs. Ends what would go on for ever: who watches events.
    void shutdown();

    grpc::ServerUnaryReactor* GetStatus(
        grpc::CallbackServerContext* context,
        const v1::GetStatusRequest* request,
        v1::GetStatusResponse* response
    ) override;
    grpc::ServerUnaryReactor* ListProviders(
        grpc::CallbackServerContext* context,
        const v1::ListProvidersRequest* request,
        v1::ListProvidersResponse* response
    ) override;
    grpc::ServerUnaryReactor* SetProviderEnabled(
        grpc::CallbackServerContext* context,
        const v1::SetProviderEnabledRequest* request,
        v1::ChangeResponse* response
    ) override;
    grpc::ServerUnaryReactor* ResetProvider(
        grpc::CallbackServerContext* context,
        const v1::ResetProviderRequest* request,
        v1::ChangeResponse* response
    ) override;
    grpc::ServerUnaryReactor* ListDataPlanes(
        grpc::CallbackServerContext* context,
        const v1::ListDataPlanesRequest* request,
        v1::ListDataPlanesResponse* response
    ) override;
    grpc::ServerUnaryReactor* DrainDataPlane(
        grpc::CallbackServerContext* context,
        const v1::DrainDataPlaneRequest* request,
        v1::DrainDataPlaneResponse* response
    ) override;
    grpc::ServerUnaryReactor* ValidateConfig(
        grpc::CallbackServerContext* context,
        const v1::ValidateConfigRequest* request,
        v1::ValidateConfigResponse* response
    ) override;
    grpc::ServerUnaryReactor* ReloadConfig(
        grpc::CallbackServerContext* context,
        const v1::ReloadConfigRequest* request,
        v1::ChangeResponse* response
    ) override;
    grpc::ServerUnaryReactor* ShowConfig(
        grpc::CallbackServerContext* context,
        const v1::ShowConfigRequest* request,
        v1::ShowConfigResponse* response
    ) override;
    grpc::ServerWriteReactor<v1::WatchEventsResponse>* WatchEvents(
        grpc::CallbackServerContext* context, const v1::WatchEventsRequest* request
    ) override;

    // admin_service_revisions.cpp
    grpc::ServerUnaryReactor* EditConfig(
        grpc::CallbackServerContext* context,
        const v1::EditConfigRequest* request,
        v1::ChangeResponse* response
    ) override;
    grpc::ServerUnaryReactor* ListRevisions(
        grpc::CallbackServerContext* context,
        const v1::ListRevisionsRequest* request,
        v1::ListRevisionsResponse* response
    ) override;
    grpc::ServerUnaryReactor* DiffConfig(
        grpc::CallbackServerContext* context,
        const v1::DiffConfigRequest* request,
        v1::DiffConfigResponse* response
    ) override;
    grpc::ServerUnaryReactor* RollbackConfig(
        grpc::CallbackServerContext* context,
        const v1::RollbackConfigRequest* request,
        v1::ChangeResponse* response
    ) override;
    grpc::ServerUnaryReactor* SaveConfig(
        grpc::CallbackServerContext* context,
        const v1::SaveConfigRequest* request,
        v1::ChangeResponse* response
    ) override;
    grpc::ServerUnaryReactor* ListRoutes(
        grpc::CallbackServerContext* context,
        const v1::ListRoutesRequest* request,
        v1::ListRoutesResponse* response
    ) override;
    // admin_service_slow.cpp: answered later than they are asked.
    grpc::ServerUnaryReactor* TestProvider(
        grpc::CallbackServerContext* context,
        const v1::TestProviderRequest* request,
        v1::TestProviderResponse* response
    ) override;
    grpc::ServerUnaryReactor* ExplainRequest(
        grpc::CallbackServerContext* context,
        const v1::ExplainRequestRequest* request,
        v1::ExplainRequestResponse* response
    ) override;
    grpc::ServerUnaryReactor* ListRequests(
        grpc::CallbackServerContext* context,
        const v1::ListRequestsRequest* request,
        v1::ListRequestsResponse* response
    ) override;

    // admin_service_keys.cpp
    grpc::ServerUnaryReactor* ListSealingKeys(
        grpc::CallbackServerContext* context,
        const v1::ListSealingKeysRequest* request,
        v1::ListSealingKeysResponse* response
    ) override;
    grpc::ServerUnaryReactor* RotateSealingKeys(
        grpc::CallbackServerContext* context,
        const v1::RotateSealingKeysRequest* request,
        v1::SealingKeyChange* response
    ) override;
    grpc::ServerUnaryReactor* RetireSealingKey(
        grpc::CallbackServerContext* context,
        const v1::RetireSealingKeyRequest* request,
        v1::SealingKeyChange* response
    ) override;

    // admin_service_accounts.cpp
    grpc::ServerUnaryReactor* ListAccounts(
        grpc::CallbackServerContext* context,
        const v1::ListAccountsRequest* request,
        v1::ListAccountsResponse* response
    ) override;
    grpc::ServerUnaryReactor* BeginLogin(
        grpc::CallbackServerContext* context,
        const v1::BeginLoginRequest* request,
        v1::BeginLoginResponse* response
    ) override;
    grpc::ServerUnaryReactor* FinishLogin(
        grpc::CallbackServerContext* context,
        const v1::FinishLoginRequest* request,
        v1::AccountResponse* response
    ) override;
    grpc::ServerUnaryReactor* RefreshAccount(
        grpc::CallbackServerContext* context,
        const v1::RefreshAccountRequest* request,
        v1::AccountResponse* response
    ) override;
    grpc::ServerUnaryReactor* ImportAccount(
        grpc::CallbackServerContext* context,
        const v1::ImportAccountRequest* request,
        v1::AccountResponse* response
    ) override;
    grpc::ServerUnaryReactor* ForgetAccounts(
        grpc::CallbackServerContext* context,
        const v1::ForgetAccountsRequest* request,
        v1::ForgetAccountsResponse* response
    ) override;

  private:
    // What one call is, for the log.
    struct Call {
        const char* name = "";
        std::string target;
        v1::ChangeContext context;  // empty for calls that change nothing
        bool changes = false;
    };

    // `work` runs on the loop and fills the response, which is masked after it.
    grpc::ServerUnaryReactor* serve(
        grpc::CallbackServerContext* context,
        Call call,
        google::protobuf::Message* response,
        std::function<Result<void>()> work
    );
    // For what takes its time (serve_later.hpp): the call outlives the handler that begins it. `begin` runs on the loop
    // with a copy of the request, and is given what to call, once, with the answer.
    template <class Request, class Response, class Begin>
    grpc::ServerUnaryReactor* serve_later(
        grpc::CallbackServerContext* context,
        Call call,
        const Request& request,
        Response* response,
        Begin begin
    );
    bool authorized(const grpc::CallbackServerContext& context) const;
    void note_refusal(std::string call, std::string peer);
    // OK, or how to refuse, logged.
    grpc::Status admit(const grpc::CallbackServerContext& context, const char* call);
    void feed(std::shared_ptr<EventFeed> feed);
    void log_call(const Call& call, const std::string& peer, const grpc::Status& status);

    boost::asio::io_context& loop_;
    Log& log_;
    ControlPlane& control_plane_;
    const std::shared_ptr<EventRing> events_;
    const std::string expected_;  // the whole metadata value

    // On the loop.
    SteadyTime refusal_logged_at_{};
    std::uint64_t refused_ = 0;  // since then
    std::vector<std::weak_ptr<EventFeed>> feeds_;
    bool stopping_ = false;
};

// gRPC's code and a text of bounded length.
grpc::Status to_grpc_status(const Error& error);

// Moves a value into the response, or passes the error on.
template <class T>
Result<void> answer(Result<T> result, T* response) {
    if (!result) return result.error();
    *response = *std::move(result);
    return {};
}

}  // namespace balancer::controlplane
