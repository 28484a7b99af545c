// A scriptable provider over real sockets that can misbehave byte by byte.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/recorded_request.hpp"
#include "tests/support/script.hpp"
#include "tests/support/test_ca.hpp"

namespace balancer::tests {

struct FakeProviderOptions {
    std::string address = "127.0.0.1:0";
    std::optional<Identity> tls{};        // serves HTTPS
    // Asked with the bearer token of each request that the script has a say in; false: it gets a 401. On the provider's thread.
    std::function<bool(const std::string&)> accepts_token{};
    std::size_t requests_kept = 100'000;  // in requests(); the rest is only counted
    // Called on the provider's thread with every request at the end of its reply.
    std::function<void(const RecordedRequest&)> on_finished{};
};

// HTTP/1.1 on its own thread. Answers POST /v1/messages, POST /v1/messages/count_tokens, GET
// /v1/models and HEAD /; others get Anthropic's 404. Every method is thread-safe.
class FakeProvider {
  public:
    // Listens when it returns. Throws boost::system::system_error when the address cannot be bound.
    explicit FakeProvider(Script script = {}, const FakeProviderOptions& options = {});
    ~FakeProvider();
    FakeProvider(const FakeProvider&) = delete;
    FakeProvider& operator=(const FakeProvider&) = delete;

    std::uint16_t port() const;
    std::string address() const;   // 127.0.0.1:N
    std::string base_url() const;  // http://127.0.0.1:N, or https://localhost:N

    // From the next request on; starts at its first step.
    void set_script(Script script);

    std::vector<RecordedRequest> requests() const;
    std::size_t request_count() const;
    std::size_t connection_count() const;  // accepted, refused ones too
    void clear_requests();

    // False when `timeout` passes before so many have arrived; whose client went away before the
    // reply's end; that have been answered to the end of the script.
    bool wait_for_requests(std::size_t count, milliseconds timeout = milliseconds(5000)) const;
    bool wait_for_abandoned(std::size_t count, milliseconds timeout = milliseconds(5000)) const;
    bool wait_for_played(std::size_t count, milliseconds timeout = milliseconds(5000)) const;

    // Closes the listener and every connection: clients then meet a refused connect. Can be called
    // again.
    void stop();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace balancer::tests
