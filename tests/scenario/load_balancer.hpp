// HAProxy or nginx as deploy/ configures it, in front of the data planes of a ProcessFleet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/scenario/process_fleet.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/test_ca.hpp"

namespace balancer::tests {

enum class Product { kHaproxy, kNginx };

// The shipped file with another certificate and other addresses. It speaks TLS; a second HAProxy takes that off again, byte by
// byte, for RawClient. Not thread-safe.
class LoadBalancer {
  public:
    // Of the first two data planes, where they are now. `trusted_peer`: whose word on X-Forwarded-For counts.
    LoadBalancer(Product product, const ProcessFleet& fleet, const std::string& trusted_peer = "192.0.2.1");
    ~LoadBalancer();
    LoadBalancer(const LoadBalancer&) = delete;
    LoadBalancer& operator=(const LoadBalancer&) = delete;

    // Without TLS.
    std::uint16_t port() const { return tunnel_port_; }

    // HAProxy's own view, by its checks of /readyz.
    bool sees_up(std::size_t index) const;

  private:
    using Parts = std::vector<std::string>;
    void start(const std::string& name, std::uint16_t& port, std::unique_ptr<ChildProcess>& process, auto arguments);
    Parts haproxy(const ProcessFleet& fleet, const std::string& trusted_peer);
    Parts nginx(const ProcessFleet& fleet, const std::string& trusted_peer);
    Parts tunnel();

    std::filesystem::path folder_;
    TestCa ca_;
    std::uint16_t port_ = 0;
    std::uint16_t status_port_ = 0;
    std::uint16_t tunnel_port_ = 0;
    std::unique_ptr<ChildProcess> balancer_;
    std::unique_ptr<ChildProcess> tunnel_;
};

}  // namespace balancer::tests
