// Every option of the control plane's gRPC server, in one place.
#pragma once

#include <grpcpp/server_builder.h>

namespace balancer::controlplane {

// Message limits and HTTP/2 keepalive. Keepalive is the only thing that ends a call whose peer has
// been stopped with a write pending; neither Finish nor TryCancel does.
void set_server_options(grpc::ServerBuilder& builder);

}  // namespace balancer::controlplane
