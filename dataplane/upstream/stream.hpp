// One connection to a provider, plain or TLS, in whatever stage it is.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "dataplane/sweep.hpp"

namespace boost::asio::ssl {
class context;
}

namespace balancer::dataplane {

struct IoResult {
    ErrorCode error;
    std::size_t bytes = 0;
};

// Lives on one worker. An armed deadline that passes, and abort(), close the socket: whatever is pending ends with
// operation_aborted and the stream is of no more use.
class UpstreamStream {
  public:
    UpstreamStream(boost::asio::io_context& context, Sweep& sweep);
    ~UpstreamStream();
    UpstreamStream(const UpstreamStream&) = delete;
    UpstreamStream& operator=(const UpstreamStream&) = delete;

    // Connects to one address. Until `until`; a passed deadline is error timed_out.
    boost::asio::awaitable<ErrorCode> connect(boost::asio::ip::tcp::endpoint address, SteadyTime until);

    // `on_abort` runs in abort(): it ends a wait that is not the socket's (name resolution).
    void set_on_abort(std::function<void()> on_abort) { on_abort_ = std::move(on_abort); }

    boost::asio::awaitable<IoResult> read_some(char* data, std::size_t size);
    // Until the deadline that is set.
    boost::asio::awaitable<ErrorCode> write(std::span<const boost::asio::const_buffer> buffers);

    // Until `total`, and never `idle` (0: however long) without progress. Leaves its deadline armed.
    boost::asio::awaitable<ErrorCode> write(
        std::span<const boost::asio::const_buffer> buffers, SteadyTime total, Milliseconds idle
    );

    // Ends a pending write() with operation_aborted; not while something is being read. Reading goes on. Over TLS a record may
    // be on its way to the socket just now and wait there afterwards: called again until the write has ended.
    void stop_writing();

    // TLS over the connected socket: server name `host` is sent (unless it is an address) and verified.
    boost::asio::awaitable<Result<void>> handshake(
        boost::asio::ssl::context& context, const std::string& host, struct TlsSessionSlot* session
    );

    void set_deadline(SteadyTime until) { deadline_.arm(until); }
    bool timed_out() const { return timed_out_; }

    void abort();
    bool aborted() const { return aborted_; }

    // For an idle pooled connection: false when the peer has closed it or sent what nobody asked for.
    bool looks_alive();

    bool is_tls() const { return tls_ != nullptr; }
    boost::asio::ip::tcp::socket& socket() { return socket_; }

  private:
    struct Tls;
    boost::asio::ip::tcp::socket socket_;
    std::unique_ptr<Tls> tls_;
    SweepEntry deadline_;
    std::function<void()> on_abort_;
    bool writing_stopped_ = false;
    bool timed_out_ = false;
    bool aborted_ = false;
};

}  // namespace balancer::dataplane
