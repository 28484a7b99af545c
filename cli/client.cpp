#include "cli/client.hpp"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "base/file.hpp"
#include "model/protocol.hpp"

namespace balancer::cli {
namespace {

namespace errc = boost::system::errc;

Error unreachable(std::string detail) {
    return Error{make_error_code(errc::host_unreachable), std::move(detail)};
}

Error not_allowed(std::string detail) {
    return Error{make_error_code(errc::permission_denied), std::move(detail)};
}

// The end of gRPC's chain of causes: "Connection refused".
std::string last_cause(const std::string& chain) {
    std::size_t colon = chain.rfind(": ");
    return colon == std::string::npos ? chain : chain.substr(colon + 2);
}

}  // namespace

Client::Client(Options options) : options_(std::move(options)) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kSyncMessageBytesMax);
    // A proxy of the environment is meant for the way out, not for the control plane.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    // Who follows events must see that the other end has gone.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
    // A control plane that comes back is to be found soon.
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
    stub_ = v1::Admin::NewStub(
        grpc::CreateCustomChannel(options_.server, grpc::InsecureChannelCredentials(), arguments)
    );
}

Result<void> Client::prepare(grpc::ClientContext& context, Milliseconds timeout) {
    if (token_.empty()) {
        Result<std::string> token = read_secret_file(options_.token_file);
        if (!token) {
            return not_allowed(fmt::format(
                "no token: {}\nThe control plane makes admin.token in its --state-dir at its first "
                "start; "
                "name it with --token-file FILE or BALANCERCTL_TOKEN_FILE.",
                token.error().text()
            ));
        }
        token_ = *std::move(token);
    }
    if (timeout.count() > 0) context.set_deadline(std::chrono::system_clock::now() + timeout);
    context.AddMetadata("authorization", "Bearer " + token_);
    return {};
}

Error Client::to_error(const grpc::Status& status) const {
    switch (status.error_code()) {
        case grpc::StatusCode::UNAVAILABLE:
            return unreachable(fmt::format(
                "cannot reach the control plane at {}: {}\nDoes it run there? Name another address "
                "with "
                "--server ADDR or BALANCERCTL_SERVER.",
                options_.server,
                last_cause(status.error_message())
            ));
        case grpc::StatusCode::DEADLINE_EXCEEDED:
            return unreachable(fmt::format(
                "no answer from {} within {} ms: give it longer with --timeout SECONDS, or look at "
                "the "
                "control plane's log",
                options_.server,
                options_.timeout.count()
            ));
        case grpc::StatusCode::UNAUTHENTICATED:
        case grpc::StatusCode::PERMISSION_DENIED:
            return not_allowed(fmt::format(
                "the control plane at {} does not accept the token in {}: {}",
                options_.server,
                options_.token_file,
                status.error_message()
            ));
        case grpc::StatusCode::UNIMPLEMENTED:
            return unreachable(fmt::format(
                "what listens at {} is not this program's control plane, or another version of it",
                options_.server
            ));
        default:
            return invalid(status.error_message());
    }
}

bool is_away(const Error& error) {
    return error.code == errc::host_unreachable;
}

bool is_unreachable(const Error& error) {
    return error.code == errc::host_unreachable || error.code == errc::permission_denied;
}

}  // namespace balancer::cli
