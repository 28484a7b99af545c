// A Sync stream that goes nowhere.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "balancer/v1/data_plane.pb.h"
#include "controlplane/publish/sync_stream.hpp"

namespace balancer::controlplane {

class FakeStream final : public SyncStream {
  public:
    void send(v1::SyncResponse message) override { sent.push_back(std::move(message)); }
    bool busy() const override { return stuck; }
    void finish() override { finished = true; }

    // Of the messages sent: the updates.
    std::vector<v1::Update> updates() const {
        std::vector<v1::Update> out;
        for (const v1::SyncResponse& message : sent) {
            if (message.has_update()) out.push_back(message.update());
        }
        return out;
    }

    std::vector<v1::SyncResponse> sent;
    bool stuck = false;
    bool finished = false;
};

inline v1::SyncRequest hello_of(const std::string& dp_id, const std::string& instance) {
    v1::SyncRequest message;
    message.mutable_hello()->set_dp_id(dp_id);
    message.mutable_hello()->set_instance_id(instance);
    message.mutable_hello()->set_protocol_major(1);
    return message;
}

}  // namespace balancer::controlplane
