#include "dataplane/control/manage_client.hpp"

#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "balancer/v1/data_plane.grpc.pb.h"
#include "dataplane/control/channel.hpp"

namespace balancer::dataplane {
namespace {

constexpr std::chrono::seconds kDeadline{10};
// Behind these the control plane asks the token endpoint, which may take oauth.timeout (30 s unless set otherwise).
constexpr std::chrono::seconds kLoginDeadline{60};

ManageAnswer unreachable(std::string_view why) {
    return ManageAnswer{
        0, "text/plain; charset=utf-8", fmt::format("the control plane cannot be reached: {}", why)
    };
}

ManageAnswer answer_of(const grpc::Status& status, v1::ManageResponse& response) {
    if (status.ok()) {
        return ManageAnswer{
            response.status(),
            std::move(*response.mutable_content_type()),
            std::move(*response.mutable_body()),
            std::move(*response.mutable_allow()),
            std::move(*response.mutable_location()),
        };
    }
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
        return unreachable("no answer in time");
    }
    return unreachable(status.error_message());
}

}  // namespace

// What gRPC writes to until the call is done.
struct ManageClient::Pending {
    explicit Pending(boost::asio::io_context& loop) : work(loop.get_executor()) {}

    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
    grpc::ClientContext context;
    v1::ManageRequest request;
    v1::ManageResponse response;
    std::function<void(ManageAnswer)> done;
};

ManageClient::ManageClient(std::shared_ptr<boost::asio::io_context> loop, std::string token)
    : loop_(std::move(loop)), token_(std::move(token)) {}

ManageClient::~ManageClient() = default;

void ManageClient::call(ManageCall call, std::function<void(ManageAnswer)> done) {
    if (!channel_) {
        boost::asio::post(*loop_, [done = std::move(done)] {
            done(unreachable("this data plane has no connection to it now"));
        });
        return;
    }
    auto pending = std::make_shared<Pending>(*loop_);
    pending->request.set_method(std::move(call.method));
    pending->request.set_path(std::move(call.path));
    pending->request.set_query(std::move(call.query));
    pending->request.set_body(std::move(call.body));
    pending->request.set_client_key_name(std::move(call.client_key_name));
    pending->request.set_remote(std::move(call.remote));
    pending->request.set_host(std::move(call.host));
    pending->request.set_accept(std::move(call.accept));
    pending->request.set_origin(std::move(call.origin));
    pending->request.set_fetch_site(std::move(call.fetch_site));
    pending->done = std::move(done);
    bool login = pending->request.path().starts_with("/oauth/") || pending->request.path() == "/callback";
    auto deadline = login ? kLoginDeadline : kDeadline;
    pending->context.set_deadline(std::chrono::system_clock::now() + deadline);
    set_token(pending->context, token_);
    pending_.insert(pending);
    auto stub = v1::DataPlane::NewStub(channel_);
    stub->async()->Manage(
        &pending->context,
        &pending->request,
        &pending->response,
        // On one of gRPC's threads. `loop` is held because the control thread may end before the
        // post returns.
        [this, pending, loop = loop_](const grpc::Status& status) {
            boost::asio::post(*loop, [this, pending, status] {
                pending_.erase(pending);
                pending->done(answer_of(status, pending->response));
                pending->work.reset();
            });
        }
    );
}

void ManageClient::stop() {
    channel_.reset();
    for (const auto& pending : pending_) pending->context.TryCancel();
}

}  // namespace balancer::dataplane
