// A control plane under bad data planes, beside one good one, and the questions that every such
// test asks.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "balancer/v1/admin.grpc.pb.h"
#include "dataplane/control/channel.hpp"
#include "tests/scenario/fleet.hpp"
#include "tests/scenario/rogue_plane.hpp"

namespace balancer::tests {

class Stress : public testing::Test {
  protected:
    // The promise is a second. What must not be is a wait for the ones that are stuck, which are given 10 s; the rest is for a
    // machine that builds something meanwhile.
    static constexpr std::int64_t kPromptMs = 8'000;

    Stress();

    std::string grpc_address() const { return fleet_.control_plane_addresses().grpc; }
    std::uint16_t grpc_port() const;

    RoguePlane rogue(const std::string& id) const {
        return RoguePlane(grpc_address(), fleet_.data_plane_token(), id);
    }

    template <class Request, class Response>
    Response admin(
        grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
        const Request& request
    ) {
        grpc::ClientContext context;
        dataplane::set_token(context, fleet_.admin_token());
        context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
        Response response;
        grpc::Status status = (admin_.get()->*method)(&context, request, &response);
        EXPECT_TRUE(status.ok()) << status.error_message();
        return response;
    }

    // As the control plane sees it; empty when it knows none of that name.
    v1::DataPlaneView view(const std::string& id);

    // Publishes a changed configuration; its seq.
    std::uint64_t change();

    // One change; fails unless the good data plane has it promptly, and the loop answers promptly.
    void change_is_prompt();
    void changes_are_prompt_for(std::chrono::seconds time);

    std::filesystem::path control_plane_log() const {
        return fleet_.control_plane_dir() / "log.jsonl";
    }

    // balancerctl's exit code; what it printed is in said_.
    int ctl(std::vector<std::string> words);

    FakeProvider a_;
    Fleet fleet_;
    std::unique_ptr<v1::Admin::Stub> admin_;
    bool spare_enabled_ = true;
    std::string said_;
};

}  // namespace balancer::tests
