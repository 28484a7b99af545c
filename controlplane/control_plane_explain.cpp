// What data planes are asked and told for a person: what became of one request, what is under way, to drain.
#include <algorithm>

#include "controlplane/control_plane.hpp"
#include "controlplane/publish/registry.hpp"

namespace balancer::controlplane {
namespace {

// Ours have 20 bytes; a provider's own may have more.
constexpr std::size_t kRequestIdMax = 200;

bool is_request_id(std::string_view text) {
    return !text.empty() && text.size() <= kRequestIdMax &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

}  // namespace

Result<v1::DrainDataPlaneResponse> ControlPlane::drain_data_plane(const v1::DrainDataPlaneRequest& request) {
    Result<v1::ListDataPlanesResponse> known = list_data_planes(request.name());
    if (!known) return known.error();
    Result<v1::DataPlaneView> told = publisher_.registry().drain(request.name(), request.context().reason());
    if (!told) return told.error();
    v1::DrainDataPlaneResponse response;
    *response.mutable_data_plane() = *std::move(told);
    return response;
}

void ControlPlane::explain_request(const v1::ExplainRequestRequest& request, ExplainDone done) {
    if (!is_request_id(request.request_id())) {
        return done(invalid(
            "that is no id of a request: it is in the header x-balancer-request-id of its answer, in "
            "request_id of the access log, and looks like bal_0123456789abcdef"
        ));
    }
    v1::Lookup what;
    what.set_request_id(request.request_id());
    Result<void> asked = publisher_.registry().look_up(std::move(what), [done](v1::ListRequestsResponse found) {
        v1::ExplainRequestResponse response;
        *response.mutable_head() = std::move(*found.mutable_head());
        response.mutable_records()->Swap(found.mutable_records());
        response.mutable_asked()->Swap(found.mutable_asked());
        done(std::move(response));
    });
    if (!asked) done(asked.error());
}

void ControlPlane::list_requests(const v1::ListRequestsRequest&, RequestsDone done) {
    v1::Lookup what;
    what.set_in_flight(true);
    Result<void> asked = publisher_.registry().look_up(std::move(what), [done](v1::ListRequestsResponse found) {
        std::stable_sort(
            found.mutable_records()->pointer_begin(),
            found.mutable_records()->pointer_end(),
            [](const v1::RequestRecord* a, const v1::RequestRecord* b) { return a->at_ms() < b->at_ms(); }
        );
        done(std::move(found));
    });
    if (!asked) done(asked.error());
}

}  // namespace balancer::controlplane
