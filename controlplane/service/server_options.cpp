#include "controlplane/service/server_options.hpp"

#include "model/protocol.hpp"

namespace balancer::controlplane {

void set_server_options(grpc::ServerBuilder& builder) {
    builder.SetMaxReceiveMessageSize(kToControlPlaneBytesMax);
    builder.SetMaxSendMessageSize(kSyncMessageBytesMax);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    // Data planes ping every 10 s; more than twice that is abuse.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
    // A connection that never becomes HTTP/2 must not hold its descriptor for the default two
    // minutes.
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
    // A data plane has three calls open, balancerctl one.
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 100);
    // Two control planes on one port would each get half of the data planes: the second must fail
    // to bind.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

}  // namespace balancer::controlplane
