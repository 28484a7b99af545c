// Carries reports to the control plane over a stream of their own.
#pragma once

#include <grpcpp/channel.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "dataplane/control/backoff.hpp"
#include "dataplane/control/client_stream.hpp"
#include "dataplane/control/report_queue.hpp"
#include "dataplane/control/status_board.hpp"

namespace balancer::dataplane {

// Lives on the control thread. Signals leave at once, or as soon as the report before them is
// acknowledged; totals leave every interval. While there is no control plane, signals wait in the
// queue.
class Reporter {
  public:
    struct Identity {
        std::string dp_id;
        std::string instance_id;
        std::string token;
    };

    Reporter(
        std::shared_ptr<boost::asio::io_context> loop,
        Identity identity,
        std::function<std::vector<ProviderTotals>()> collect_totals,
        StatusBoard& board,
        Log& log
    );

    // The control plane has welcomed this data plane on `channel`.
    void connected(std::shared_ptr<grpc::Channel> channel, Milliseconds interval);

    // It is gone; what it has not acknowledged is sent again after the next connected().
    void lost();

    void signal(v1::Signal signal);

    // For good.
    void stop();

  private:
    using Stream = ClientStream<v1::ReportRequest, v1::ReportResponse>;

    // A report that is not acknowledged in this time is sent again on a new stream.
    static constexpr Milliseconds kAckMax{10'000};
    // So many streams end behind one report, while the control plane is there: it is the report that cannot be taken.
    static constexpr unsigned kSentMax = 5;

    void open();
    void close();
    void acknowledged(const v1::ReportResponse& response);
    void send_totals();
    void send(const std::vector<ProviderTotals>& totals);
    void tick();
    void open_later();
    void ended();
    void tell_dropped();

    std::shared_ptr<boost::asio::io_context> loop_;
    Identity identity_;
    std::function<std::vector<ProviderTotals>()> collect_totals_;
    StatusBoard& board_;
    Log& log_;
    ReportQueue queue_;
    std::shared_ptr<grpc::Channel> channel_;  // null: no control plane
    std::shared_ptr<Stream> stream_;
    bool sent_ = false;  // the report that is out went over stream_
    SteadyTime sent_at_;
    unsigned ended_behind_it_ = 0;  // streams, since the last acknowledgement
    bool totals_due_ = false;
    std::uint64_t counted_seq_ = 0;  // the last report whose signals count as sent
    bool drop_logged_ = false;
    Milliseconds interval_{2'000};
    Backoff backoff_;
    boost::asio::steady_timer tick_timer_;
    boost::asio::steady_timer open_timer_;
};

}  // namespace balancer::dataplane
