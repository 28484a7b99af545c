#include "dataplane/control/reporter.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "balancer/v1/data_plane.grpc.pb.h"
#include "dataplane/control/channel.hpp"

namespace balancer::dataplane {

Reporter::Reporter(
    std::shared_ptr<boost::asio::io_context> loop,
    Identity identity,
    std::function<std::vector<ProviderTotals>()> collect_totals,
    StatusBoard& board,
    Log& log
)
    : loop_(std::move(loop)),
      identity_(std::move(identity)),
      collect_totals_(std::move(collect_totals)),
      board_(board),
      log_(log),
      queue_(identity_.dp_id, identity_.instance_id),
      backoff_(std::random_device{}()),
      tick_timer_(*loop_),
      open_timer_(*loop_) {}

void Reporter::connected(std::shared_ptr<grpc::Channel> channel, Milliseconds interval) {
    lost();
    channel_ = std::move(channel);
    interval_ = std::clamp(interval, Milliseconds(100), Milliseconds(60'000));
    drop_logged_ = false;
    ended_behind_it_ = 0;
    backoff_.reset();
    open();
    tick();
}

void Reporter::lost() {
    channel_.reset();
    close();
    tick_timer_.cancel();
    open_timer_.cancel();
}

void Reporter::signal(v1::Signal signal) {
    bool room = queue_.push(std::move(signal));
    if (!room) {
        tell_dropped();
        if (!std::exchange(drop_logged_, true)) {
            log_.emit(
                LogLevel::kWarning,
                LogEvent::kReportDropped,
                "more provider failures wait for the control plane than are kept; the oldest are "
                "dropped",
                {{"kept", ReportQueue::kSignalsMax}}
            );
        }
    }
    if (stream_ && !sent_) send({});
}

void Reporter::stop() {
    lost();
}

void Reporter::open() {
    auto stub = v1::DataPlane::NewStub(channel_);
    stream_ = std::make_shared<Stream>(loop_);
    sent_ = false;
    set_token(stream_->context(), identity_.token);
    stub->async()->Report(&stream_->context(), stream_.get());
    Stream::Handlers handlers;
    handlers.on_message = [this](const v1::ReportResponse& response) { acknowledged(response); };
    handlers.on_done = [this](const grpc::Status&) {
        stream_.reset();
        ended();
        open_later();
    };
    stream_->start(std::move(handlers));
    if (queue_.has_news()) send({});
}

void Reporter::ended() {
    if (!std::exchange(sent_, false) || ++ended_behind_it_ < kSentMax) return;
    ended_behind_it_ = 0;
    queue_.give_up();
    tell_dropped();
    log_.emit(
        LogLevel::kError,
        LogEvent::kReportDropped,
        "the control plane ends the stream at each attempt to take one report; its signals are dropped, the next goes on",
        {{"attempts", kSentMax}}
    );
}

void Reporter::tell_dropped() {
    board_.change([&](ControlStatus& status) { status.signals_dropped = queue_.dropped(); });
}

void Reporter::close() {
    if (stream_) stream_->close();
    stream_.reset();
    sent_ = false;
}

void Reporter::acknowledged(const v1::ReportResponse& response) {
    if (!queue_.acknowledge(response.acked_report_seq())) return;
    backoff_.reset();
    ended_behind_it_ = 0;
    sent_ = false;
    if (totals_due_) {
        send_totals();
    } else if (queue_.has_news()) {
        send({});
    }
}

void Reporter::send_totals() {
    // A report that is sent again goes as it was.
    totals_due_ = queue_.report_is_out();
    send(collect_totals_());
}

void Reporter::send(const std::vector<ProviderTotals>& totals) {
    v1::ReportRequest report = queue_.next(totals);
    report.set_sent_at_ms(unix_now());
    if (report.report_seq() > counted_seq_) {
        counted_seq_ = report.report_seq();
        auto count = static_cast<std::uint64_t>(report.signals_size());
        board_.change([&](ControlStatus& status) { status.signals_sent += count; });
    }
    sent_ = true;
    sent_at_ = steady_now();
    stream_->send(std::move(report));
}

void Reporter::tick() {
    tick_timer_.expires_after(interval_);
    tick_timer_.async_wait([this](const ErrorCode& ec) {
        if (ec || !channel_) return;
        // Behind the report that is out, if there is one: signals may come without a pause.
        totals_due_ = true;
        if (stream_ && !sent_) {
            send_totals();
        } else if (stream_ && steady_now() - sent_at_ > kAckMax) {
            close();
            open_later();
        }
        tick();
    });
}

void Reporter::open_later() {
    open_timer_.expires_after(backoff_.next());
    open_timer_.async_wait([this](const ErrorCode& ec) {
        if (!ec && channel_ && !stream_) open();
    });
}

}  // namespace balancer::dataplane
