// A TCP relay whose connections can be made half-open: accepted by both kernels, and dead.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "tests/support/loopback_server.hpp"

namespace balancer::tests {

// Listens on 127.0.0.1 and passes bytes to and from `target`. Thread-safe.
class TcpRelay {
  public:
    explicit TcpRelay(std::uint16_t target);
    ~TcpRelay();

    std::string address() const { return server_.address(); }

    // From now on nothing passes, and no end, on the connections that are open; later ones work.
    void freeze();

    // Accepted so far.
    std::size_t connections() const { return opened_->load(); }

  private:
    std::shared_ptr<std::atomic<std::size_t>> opened_ =
        std::make_shared<std::atomic<std::size_t>>(0);
    std::shared_ptr<std::atomic<std::size_t>> frozen_ =
        std::make_shared<std::atomic<std::size_t>>(0);
    LoopbackServer server_;
};

}  // namespace balancer::tests
