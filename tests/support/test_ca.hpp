// Certificates made on the spot for TLS tests.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace balancer::tests {

// A certificate with its private key, both PEM.
struct Identity {
    std::string certificate_pem;
    std::string key_pem;
};

enum class Validity { kNow, kExpired };

// A certificate authority of its own key (P-256). Not thread-safe.
class TestCa {
  public:
    TestCa();
    ~TestCa();
    TestCa(const TestCa&) = delete;
    TestCa& operator=(const TestCa&) = delete;

    // What clients trust.
    const std::string& certificate_pem() const { return certificate_pem_; }

    // For these DNS names and IP addresses.
    Identity issue(
        const std::vector<std::string>& names = {"localhost", "127.0.0.1"},
        Validity validity = Validity::kNow
    );

  private:
    struct Keys;
    std::unique_ptr<Keys> keys_;
    std::string certificate_pem_;
    long serial_ = 1;
};

// TLS 1.2 and 1.3, with session tickets.
boost::asio::ssl::context server_context(const Identity& identity);

}  // namespace balancer::tests
