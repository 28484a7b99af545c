// The Admin calls about the keys of the sealed store.
#include "controlplane/service/admin_service.hpp"

namespace balancer::controlplane {

grpc::ServerUnaryReactor* AdminService::ListSealingKeys(
    grpc::CallbackServerContext* context,
    const v1::ListSealingKeysRequest*,
    v1::ListSealingKeysResponse* response
) {
    return serve(context, Call{"ListSealingKeys", {}, {}, false}, response, [this, response] {
        return answer(control_plane_.list_sealing_keys(), response);
    });
}

grpc::ServerUnaryReactor* AdminService::RotateSealingKeys(
    grpc::CallbackServerContext* context,
    const v1::RotateSealingKeysRequest* request,
    v1::SealingKeyChange* response
) {
    Call call{"RotateSealingKeys", {}, request->context(), true};
    return serve(context, std::move(call), response, [this, request, response] {
        return answer(control_plane_.rotate_sealing_keys(*request), response);
    });
}

grpc::ServerUnaryReactor* AdminService::RetireSealingKey(
    grpc::CallbackServerContext* context,
    const v1::RetireSealingKeyRequest* request,
    v1::SealingKeyChange* response
) {
    Call call{"RetireSealingKey", request->id(), request->context(), true};
    return serve(context, std::move(call), response, [this, request, response] {
        return answer(control_plane_.retire_sealing_key(*request), response);
    });
}

}  // namespace balancer::controlplane
