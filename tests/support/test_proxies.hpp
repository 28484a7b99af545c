// Proxies that providers can stand behind: HTTP CONNECT and SOCKS5, each with or without a
// password.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace balancer::tests {

enum class ProxyKind { kHttpConnect, kSocks5 };

struct ProxyAccess {
    std::string user;
    std::string password;
};

enum class Tunnelling {
    kWorks,
    kRefuses,  // says that the target cannot be reached
    kHangs,    // takes the request and never answers
};

struct TestProxyOptions {
    ProxyKind kind = ProxyKind::kHttpConnect;
    std::optional<ProxyAccess> access{};  // asked for; none: open to all
    Tunnelling tunnelling = Tunnelling::kWorks;
};

// On its own thread, listening on 127.0.0.1. Every target name leads to 127.0.0.1 at the port asked
// for, so that a test sees whether names were resolved here or before. Thread-safe.
class TestProxy {
  public:
    explicit TestProxy(const TestProxyOptions& options);
    ~TestProxy();
    TestProxy(const TestProxy&) = delete;
    TestProxy& operator=(const TestProxy&) = delete;

    std::uint16_t port() const;

    // As a configuration wants it: http://127.0.0.1:N or socks5://127.0.0.1:N, with the credentials
    // when there are any.
    std::string url() const;

    // HOST:PORT of every tunnel asked for by a client that was let in.
    std::vector<std::string> targets() const;

    // Clients turned away for wrong or missing credentials.
    std::size_t denied_count() const;

    void stop();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace balancer::tests
