// The client's side of one connection: reads, serialised writes, a deadline, and a look-out for the client leaving.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "dataplane/sweep.hpp"
#include "dataplane/upstream/stream.hpp"

namespace balancer::dataplane {

// Bytes in line behind what is being written. What is shared is not copied.
struct ClientPiece {
    std::string before;
    std::shared_ptr<const std::string> shared = nullptr;
    std::string_view after = {};  // literal

    std::size_t size() const { return before.size() + (shared ? shared->size() : 0) + after.size(); }
};

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

    // Puts it in line and returns at once. A failure shows up in failed(), and at the next write.
    void write_behind(ClientPiece piece);

    bool writing() const { return writing_; }

    // Of write_behind(): what is not written yet, and the first failure.
    std::size_t unwritten() const { return unwritten_; }
    const ErrorCode& failed() const { return failed_; }

    // Returns when something has become of what is being written, or after nudge(). At once when nothing is.
    boost::asio::awaitable<void> progress();
    void nudge() { turn_.cancel(); }

    // Gives up what is in line, but for what is being written just now; `last` takes its place.
    void cut_behind(std::string last);
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
    void write_next();
    void start_watch();
    void on_readable(const ErrorCode& error);

    boost::asio::ip::tcp::socket socket_;
    std::string remote_;
    SweepEntry deadline_;
    SweepEntry watch_start_;
    std::function<void()> on_gone_;
    boost::asio::cancellation_signal watch_cancel_;
    std::vector<ClientPiece> behind_;    // in line
    std::vector<ClientPiece> in_write_;  // of write_behind(), being written
    std::vector<boost::asio::const_buffer> buffers_;
    std::size_t unwritten_ = 0;  // bytes of both
    ErrorCode failed_;
    boost::asio::steady_timer turn_;  // never expires; cancelled to wake those who wait for a write or the watch
    SteadyTime last_write_ = steady_now();
    bool writing_ = false;
    bool watching_ = false;
    bool timed_out_ = false;
};

}  // namespace balancer::dataplane
