// Calls that wait for somebody else: a provider, the data planes.
#include <boost/asio/post.hpp>
#include <utility>

#include "controlplane/service/admin_service.hpp"
#include "controlplane/service/redacted_print.hpp"
#include "controlplane/service/unary_call.hpp"

namespace balancer::controlplane {

template <class Request, class Response, class Begin>
grpc::ServerUnaryReactor* AdminService::serve_later(
    grpc::CallbackServerContext* context,
    Call call,
    const Request& request,
    Response* response,
    Begin begin
) {
    auto pending = std::make_shared<UnaryCall<Response>>(response);
    pending->start();
    if (grpc::Status refused = admit(*context, call.name); !refused.ok()) {
        pending->fail(refused);
        return pending.get();
    }
    // A copy: gRPC's own dies with the call, which may be cancelled before the loop comes to it.
    boost::asio::post(
        loop_, [this, pending, peer = context->peer(), call = std::move(call), copy = request, begin] {
            begin(copy, [this, pending, peer, call](Result<Response> result) {
                grpc::Status status = result ? grpc::Status::OK : to_grpc_status(result.error());
                log_call(call, peer, status);
                if (!result) return pending->fail(status);
                mask_secrets(*result);
                pending->answer(*std::move(result));
            });
        }
    );
    return pending.get();
}

grpc::ServerUnaryReactor* AdminService::TestProvider(
    grpc::CallbackServerContext* context,
    const v1::TestProviderRequest* request,
    v1::TestProviderResponse* response
) {
    Call call{"TestProvider", request->name(), {}, true};
    return serve_later(
        context,
        std::move(call),
        *request,
        response,
        [this](const v1::TestProviderRequest& copy, ControlPlane::TestDone done) {
            control_plane_.test_provider(copy, std::move(done));
        }
    );
}

grpc::ServerUnaryReactor* AdminService::ExplainRequest(
    grpc::CallbackServerContext* context,
    const v1::ExplainRequestRequest* request,
    v1::ExplainRequestResponse* response
) {
    Call call{"ExplainRequest", request->request_id(), {}, false};
    return serve_later(
        context,
        std::move(call),
        *request,
        response,
        [this](const v1::ExplainRequestRequest& copy, ControlPlane::ExplainDone done) {
            control_plane_.explain_request(copy, std::move(done));
        }
    );
}

}  // namespace balancer::controlplane
