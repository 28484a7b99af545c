#include "dataplane/control/channel.hpp"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "model/protocol.hpp"

namespace balancer::dataplane {

std::shared_ptr<grpc::Channel> make_channel(const std::string& address) {
    grpc::ChannelArguments options;
    options.SetMaxReceiveMessageSize(kSyncMessageBytesMax);
    options.SetMaxSendMessageSize(kSyncMessageBytesMax);
    // The server refuses pings more often than every 5 s.
    options.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
    options.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
    options.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    options.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    options.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    // http_proxy in the environment is meant for providers, not for our own control plane.
    options.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), options);
}

void set_token(grpc::ClientContext& context, const std::string& token) {
    context.AddMetadata("authorization", "Bearer " + token);
}

}  // namespace balancer::dataplane
