// The client's side of one connection: reads, serialised writes, a deadline, and a look-out for the client leaving.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <span>
#include <string>

#include "base/result.hpp"
#include "dataplane/sweep.hpp"
#include "dataplane/upstream/stream.hpp"

namespace balancer::dataplane {

// Lives on one worker. A passed deadline closes the socket.
class ClientStream {
  public:
    ClientStream(boost::asio::ip::tcp::socket socket, Sweep& sweep);
    ~ClientStream();
    ClientStream(const ClientStream&) = delete;
    ClientStream& operator=(const ClientStream&) = delete;

    boost::asio::awaitable<IoResult> read_some(char* data, std::size_t size);

    // One write at a time: a second caller waits for its turn. Sets the write deadline itself.
    boost::asio::awaitable<ErrorCode> write(std::span<const boost::asio::const_buffer> buffers);
    boost::asio::awaitable<ErrorCode> write(std::string_view bytes);

    // Starts a write of its own and returns at once; not while writing(). A failure shows up at the next write.
    void write_behind(std::string bytes);

    bool writing() const { return writing_; }
    SteadyTime last_write() const { return last_write_; }

    void set_deadline(SteadyTime until) { deadline_.arm(until); }
    bool timed_out() const { return timed_out_; }

    // From 100 ms on (short exchanges never pay for it), `on_gone` runs once when the client closes or resets.
    void watch(std::function<void()> on_gone);

    // Ends the watch and waits for whatever is pending. No callback runs after it.
    boost::asio::awaitable<void> settle();

    // Something has come that nobody has read yet.
    bool has_unread();

    void close();

    // Closes with a reset, so that the client cannot take what it has for all there is.
    void break_off();

    // After an answer to a request whose body was not read: ends our side and takes what still comes for up to 2 s, since
    // closing with unread bytes resets the connection and the client may lose the answer.
    boost::asio::awaitable<void> linger();

    const std::string& remote() const { return remote_; }

  private:
    void start_watch();
    void on_readable(const ErrorCode& error);

    boost::asio::ip::tcp::socket socket_;
    std::string remote_;
    SweepEntry deadline_;
    SweepEntry watch_start_;
    std::function<void()> on_gone_;
    boost::asio::cancellation_signal watch_cancel_;
    std::string behind_;  // bytes of write_behind()
    boost::asio::steady_timer turn_;  // never expires; cancelled to wake those who wait for a write or the watch
    SteadyTime last_write_ = steady_now();
    bool writing_ = false;
    bool watching_ = false;
    bool timed_out_ = false;
};

}  // namespace balancer::dataplane
