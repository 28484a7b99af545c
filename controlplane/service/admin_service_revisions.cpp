// The Admin calls about revisions and edits.
#include "controlplane/service/admin_service.hpp"
#include "controlplane/service/redacted_print.hpp"

namespace balancer::controlplane {
namespace {

// What an edit is about, for the log.
std::string target_of(const v1::EditConfigRequest& request) {
    switch (request.edit_case()) {
        case v1::EditConfigRequest::kAddProvider:
            return "add provider " + request.add_provider().provider().name();
        case v1::EditConfigRequest::kUpdateProvider:
            return "update provider " + request.update_provider().provider().name();
        case v1::EditConfigRequest::kRemoveProvider:
            return "remove provider " + request.remove_provider().name();
        case v1::EditConfigRequest::kSetTarget:
            return "set route " + request.set_target().pattern();
        case v1::EditConfigRequest::kRemoveTarget:
            return "remove route " + request.remove_target().pattern();
        case v1::EditConfigRequest::EDIT_NOT_SET:
            break;
    }
    return {};
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::EditConfig(
    grpc::CallbackServerContext* context,
    const v1::EditConfigRequest* request,
    v1::ChangeResponse* response
) {
    Call call{"EditConfig", target_of(*request), request->context(), true};
    return serve(context, std::move(call), response, [this, request, response] {
        return answer(control_plane_.edit_config(*request), response);
    });
}

grpc::ServerUnaryReactor* AdminService::ListRevisions(
    grpc::CallbackServerContext* context,
    const v1::ListRevisionsRequest* request,
    v1::ListRevisionsResponse* response
) {
    Call call{"ListRevisions", {}, {}, false};
    return serve(context, std::move(call), response, [this, request, response] {
        return answer(control_plane_.list_revisions(*request), response);
    });
}

grpc::ServerUnaryReactor* AdminService::DiffConfig(
    grpc::CallbackServerContext* context,
    const v1::DiffConfigRequest* request,
    v1::DiffConfigResponse* response
) {
    Call call{"DiffConfig", request->from() + ".." + request->to(), {}, false};
    return serve(context, std::move(call), response, [this, request, response] {
        return answer(control_plane_.diff_config(*request), response);
    });
}

grpc::ServerUnaryReactor* AdminService::RollbackConfig(
    grpc::CallbackServerContext* context,
    const v1::RollbackConfigRequest* request,
    v1::ChangeResponse* response
) {
    Call call{"RollbackConfig", std::to_string(request->revision()), request->context(), true};
    return serve(context, std::move(call), response, [this, request, response] {
        return answer(control_plane_.rollback_config(*request), response);
    });
}

grpc::ServerUnaryReactor* AdminService::SaveConfig(
    grpc::CallbackServerContext* context,
    const v1::SaveConfigRequest* request,
    v1::ChangeResponse* response
) {
    Call call{"SaveConfig", {}, request->context(), true};
    return serve(context, std::move(call), response, [this, request, response] {
        return answer(control_plane_.save_config(*request), response);
    });
}

grpc::ServerUnaryReactor* AdminService::ListRoutes(
    grpc::CallbackServerContext* context,
    const v1::ListRoutesRequest*,
    v1::ListRoutesResponse* response
) {
    return serve(context, Call{"ListRoutes", {}, {}, false}, response, [this, response] {
        *response = control_plane_.list_routes();
        return Result<void>();
    });
}

}  // namespace balancer::controlplane
