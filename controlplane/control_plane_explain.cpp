// `balancerctl explain`: what became of one request.
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

void ControlPlane::explain_request(const v1::ExplainRequestRequest& request, ExplainDone done) {
    if (!is_request_id(request.request_id())) {
        return done(invalid(
            "that is no id of a request: it is in the header x-balancer-request-id of its answer, in "
            "request_id of the access log, and looks like bal_0123456789abcdef"
        ));
    }
    Result<void> asked = publisher_.registry().look_up(
        request.request_id(),
        [done](v1::ExplainRequestResponse response) { done(std::move(response)); }
    );
    if (!asked) done(asked.error());
}

}  // namespace balancer::controlplane
