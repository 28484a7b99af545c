#include "controlplane/http/pages.hpp"

#include <fmt/format.h>

#include "controlplane/http/metrics.hpp"

namespace balancer::controlplane {
namespace {

ManagementResponse plain(unsigned status, std::string body) {
    ManagementResponse response;
    response.status = status;
    response.body = std::move(body);
    return response;
}

ManagementResponse readiness(const ControlPlane& control_plane) {
    if (!control_plane.publisher().ready()) {
        return plain(503, "not ready: no configuration is in force yet\n");
    }
    v1::Version head = control_plane.publisher().head();
    return plain(200, fmt::format("ready: version {}.{}\n", head.epoch(), head.seq()));
}

}  // namespace

ManagementResponse serve_page(const ControlPlane& control_plane, const ManagementRequest& request) {
    bool reads = request.method == "GET" || request.method == "HEAD";
    if (request.path == "/healthz" || request.path == "/readyz" || request.path == "/metrics") {
        if (!reads) return plain(405, "only GET and HEAD\n");
        if (request.path == "/healthz") return plain(200, "alive\n");
        if (request.path == "/readyz") return readiness(control_plane);
        ManagementResponse response = plain(200, metrics_text(control_plane, unix_now()));
        response.content_type = "text/plain; version=0.0.4; charset=utf-8";
        return response;
    }
    return plain(404, "there are /healthz, /readyz and /metrics\n");
}

}  // namespace balancer::controlplane
