// How AdminService serves calls that wait for somebody else. For its own .cpp files only.
#pragma once

#include <boost/asio/post.hpp>
#include <memory>
#include <string>
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

}  // namespace balancer::controlplane
