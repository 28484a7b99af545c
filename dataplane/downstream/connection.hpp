// One client connection: heads in, one exchange after the other.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "dataplane/downstream/client_stream.hpp"
#include "dataplane/worker_state.hpp"

namespace balancer::dataplane {

class Exchange;

// Lives and dies on one worker; registered there so that a stop can close it.
class Connection {
  public:
    Connection(WorkerState& worker, boost::asio::ip::tcp::socket socket);

    // Serves until the client or an error ends it.
    boost::asio::awaitable<void> run();

    // Closes after the exchange that runs; at once when there is none, but for a client that has just come in and has not
    // said anything: close_when_idle() is for that one, a moment later.
    void drain();
    void close_when_idle();

    // The drain's time is over: the answer that is under way ends with an error, and the connection after it.
    void end_exchange();

    // The client has not taken that in time either.
    void close_now();

    // Tells of the exchange that runs, if it has that id.
    bool recollect(std::string_view id, RequestRecord& record) const;

    // The one that runs; null when there is none, or it is over but for its connection.
    const Exchange* exchange() const;

  private:
    enum class Next { kExchange, kClose };

    boost::asio::awaitable<Next> read_head(Buffer& input, std::size_t& head_size);
    boost::asio::awaitable<void> refuse(unsigned status, std::string_view why);

    WorkerState& worker_;
    ClientStream client_;
    Exchange* exchange_ = nullptr;  // the one that runs
    bool idle_ = true;
    bool closing_ = false;
    bool served_ = false;  // one exchange at least
};

}  // namespace balancer::dataplane
