// Names to addresses. A look-up is the system's own (getaddrinfo), which blocks and cannot be cancelled: each has a thread of its
// own for as long as it takes, and those who wait for it can stop waiting at any time.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "dataplane/upstream/stream.hpp"

namespace balancer::dataplane {

using Addresses = std::vector<boost::asio::ip::tcp::endpoint>;

// Blocks until it knows. Called from threads of its own; must be thread-safe.
using LookUp = std::function<Result<Addresses>(const std::string& host, std::uint16_t port)>;

// The system's resolver: hosts file, DNS and whatever else the machine is set up for.
Result<Addresses> system_look_up(const std::string& host, std::uint16_t port);

// What a thread that could not be had is told as. It comes in the generic category, which Boost would hide in one of its own.
ErrorCode no_thread(const std::system_error& problem);

// Lives on one worker. One look-up per host and port at a time, however many wait for it. What it says is kept for
// kFresh; up to kStale it is still served while a new look-up runs, and beyond that when the look-up fails or takes longer than
// kPatience. After one that failed the next waits for kRetry.
class Resolver {
  public:
    static constexpr std::chrono::seconds kFresh{30};
    static constexpr std::chrono::minutes kStale{10};
    static constexpr std::chrono::seconds kPatience{2};
    static constexpr std::chrono::seconds kRetry{1};

    explicit Resolver(boost::asio::io_context& context, LookUp look_up = system_look_up);
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    // Ends early, with an error, when `stream` is aborted (its deadline included). Never empty when it succeeds.
    boost::asio::awaitable<Result<Addresses>> resolve(
        UpstreamStream& stream, const std::string& host, std::uint16_t port
    );

    // This address answered: it comes first from now on.
    void prefer(
        const std::string& host, std::uint16_t port, const boost::asio::ip::tcp::endpoint& address
    );

  private:
    struct Name {
        Addresses addresses;          // of the last look-up that succeeded
        SteadyTime looked_up_at;      // when that was
        Error problem;                // of the last look-up that failed
        SteadyTime failed_at;         // when that was
        bool running = false;
        std::set<boost::asio::steady_timer*> waiting;  // cancelled when the look-up is over
    };
    // What a look-up's thread posts to. Outlives the resolver.
    struct Mailbox;

    void start(const std::string& key, const std::string& host, std::uint16_t port);
    void finish(const std::string& key, Result<Addresses> found);

    boost::asio::io_context& context_;
    LookUp look_up_;
    std::shared_ptr<Mailbox> mailbox_;
    std::unordered_map<std::string, Name> names_;
};

}  // namespace balancer::dataplane
