// Every option of the data plane's gRPC client, in one place.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <string>

namespace balancer::dataplane {

// A channel of its own connection: none of gRPC's shared subchannels, whose own backoff of up to
// two minutes would come on top of ours. Connects when first used.
std::shared_ptr<grpc::Channel> make_channel(const std::string& address);

// The metadata that every call carries.
void set_token(grpc::ClientContext& context, const std::string& token);

}  // namespace balancer::dataplane
