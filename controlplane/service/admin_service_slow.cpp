// Calls that wait for somebody else: a provider, the data planes.
#include <utility>

#include "controlplane/service/serve_later.hpp"

namespace balancer::controlplane {

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

grpc::ServerUnaryReactor* AdminService::ListRequests(
    grpc::CallbackServerContext* context,
    const v1::ListRequestsRequest* request,
    v1::ListRequestsResponse* response
) {
    Call call{"ListRequests", {}, {}, false};
    return serve_later(
        context,
        std::move(call),
        *request,
        response,
        [this](const v1::ListRequestsRequest& copy, ControlPlane::RequestsDone done) {
            control_plane_.list_requests(copy, std::move(done));
        }
    );
}

}  // namespace balancer::controlplane
