#include "tests/scenario/stress_fixture.hpp"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>

#include <sstream>
#include <thread>

#include "tests/scenario/balancerctl.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

// With routes enough that an update does not fit into a flow-control window.
std::string yaml(const FakeProvider& a) {
    std::string routes = "  \"*\":\n    - {provider: a, model: passthrough, priority: 1}\n";
    for (int i = 0; i < 2'000; ++i) {
        routes += fmt::format(
            "  model-number-{}:\n    - {{provider: a, model: passthrough, priority: 1}}\n", i
        );
    }
    std::vector<ProviderText> providers = {{"a", a.base_url()}, {"spare", "http://127.0.0.1:1"}};
    return to_yaml(ConfigText{std::move(providers), std::move(routes), {}, "INFO"});
}

}  // namespace

Stress::Stress() : fleet_(yaml(a_), {1, 1}) {
    admin_ =
        v1::Admin::NewStub(grpc::CreateChannel(grpc_address(), grpc::InsecureChannelCredentials()));
}

std::uint16_t Stress::grpc_port() const {
    std::string address = grpc_address();
    return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

v1::DataPlaneView Stress::view(const std::string& id) {
    v1::ListDataPlanesResponse all =
        admin(&v1::Admin::Stub::ListDataPlanes, v1::ListDataPlanesRequest());
    for (const v1::DataPlaneView& each : all.data_planes()) {
        if (each.dp_id() == id) return each;
    }
    return {};
}

std::uint64_t Stress::change() {
    v1::SetProviderEnabledRequest request;
    request.set_name("spare");
    request.set_enabled(spare_enabled_ = !spare_enabled_);
    return admin(&v1::Admin::Stub::SetProviderEnabled, request).version().seq();
}

void Stress::change_is_prompt() {
    SteadyTime begin = steady_now();
    double seq = static_cast<double>(change());
    EXPECT_LT(elapsed_ms(begin, steady_now()), kPromptMs) << "the loop was blocked";
    ASSERT_TRUE(Fleet::eventually([&] {
        return read_metrics(fleet_).sum("balancer_dp_snapshot_seq").value_or(0) >= seq;
    }));
    EXPECT_LT(elapsed_ms(begin, steady_now()), kPromptMs) << "the good data plane had to wait";
}

void Stress::changes_are_prompt_for(std::chrono::seconds time) {
    SteadyTime until = steady_now() + time;
    while (steady_now() < until && !HasFailure()) {
        change_is_prompt();
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

int Stress::ctl(std::vector<std::string> words) {
    std::ostringstream out;
    std::ostringstream err;
    int code = balancerctl(grpc_address(), fleet_.control_plane_dir(), std::move(words), out, err);
    said_ = out.str() + err.str();
    return code;
}

}  // namespace balancer::tests
