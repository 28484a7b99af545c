#include "dataplane/downstream/connection.hpp"

#include <cstring>

#include "base/net.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/wire/downstream_head.hpp"

namespace balancer::dataplane {

namespace {

constexpr std::chrono::seconds kKeepAliveIdle{120};
constexpr std::chrono::seconds kHeadTime{20};
constexpr std::size_t kInputBytes = 16384;
constexpr std::size_t kHeadBytesWithoutSnapshot = 64U << 10;

void drop_empty_lines(Buffer& input) {
    std::size_t empty = 0;
    while (input.view().substr(empty).starts_with("\r\n")) empty += 2;
    if (empty == 0) return;
    std::memmove(input.data(), input.data() + empty, input.size() - empty);
    input.resize(input.size() - empty);
}

}  // namespace

Connection::Connection(WorkerState& worker, net::ip::tcp::socket socket)
    : worker_(worker), client_(std::move(socket), worker.sweep) {}

void Connection::drain() {
    closing_ = served_;
    if (idle_ && served_ && !client_.has_unread()) client_.close();
}

void Connection::close_when_idle() {
    closing_ = true;
    if (idle_) client_.close();
}

void Connection::end_exchange() {
    closing_ = true;
    if (exchange_ != nullptr) exchange_->end_early();
}

void Connection::close_now() {
    end_exchange();
    client_.close();
}

bool Connection::recollect(std::string_view id, RequestRecord& record) const {
    if (exchange_ == nullptr || !exchange_->has_id(id)) return false;
    exchange_->recollect(record);
    return true;
}

const Exchange* Connection::exchange() const { return exchange_ != nullptr && !exchange_->is_over() ? exchange_ : nullptr; }

// A request that cannot be read: answered and the connection closed, since nobody knows where the next one begins.
net::awaitable<void> Connection::refuse(unsigned status, std::string_view why) {
    wire::LocalError error;
    error.status = status;
    error.type = "invalid_request_error";
    error.code = "BAD_REQUEST";
    error.message = "The request was refused: " + std::string(why);
    error.retry = false;
    std::string id = make_request_id(worker_);
    worker_.metrics.requests[static_cast<std::size_t>(Outcome::kBadRequest)].add();
    AccessRecord record;
    record.request_id = id;
    record.at = unix_now();
    record.remote = client_.remote();
    record.status = status;
    record.outcome = Outcome::kBadRequest;
    record.worker = worker_.name;
    record.failed_attempts.push_back({"", FailureClass::kClient, status, std::string(why)});
    worker_.access_log.append(record);
    worker_.recent.add([&](RequestRecord& remembered) {
        remembered = {};
        assign_cut(remembered.request_id, id);
        remembered.worker = worker_.name;
        remembered.at = record.at;
        remembered.outcome = record.outcome;
        remembered.status = status;
        assign_cut(remembered.remote, record.remote);
        assign_cut(remembered.error, error.message, RequestRecord::kWordsMax);
    });
    co_await client_.write(wire::error_reply(wire::Format::kAnthropic, error, wire::OwnHeaders{id, {}, true}, false));
    co_await client_.linger();
}

net::awaitable<Connection::Next> Connection::read_head(Buffer& input, std::size_t& head_size) {
    idle_ = input.size() == 0;
    client_.set_deadline(steady_now() + (idle_ ? Milliseconds(kKeepAliveIdle) : Milliseconds(kHeadTime)));
    std::size_t head_max =
        worker_.snapshot ? worker_.snapshot->settings.header_bytes : kHeadBytesWithoutSnapshot;
    wire::HeadScan scan;
    for (;;) {
        // Empty lines before a request line are passed over (RFC 9112 section 2.2).
        if (scan.scanned == 0) drop_empty_lines(input);
        scan = wire::scan_head(input.view(), scan.scanned);
        if (scan.state == wire::HeadScan::State::kBad) {
            co_await refuse(400, scan.problem);
            co_return Next::kClose;
        }
        bool complete = scan.state == wire::HeadScan::State::kComplete;
        if (complete && scan.size <= head_max) break;
        if (complete || input.size() > head_max) {
            co_await refuse(431, "its head is larger than the limit (limits.header_bytes)");
            co_return Next::kClose;
        }
        if (input.room() == 0) input.grow(input.capacity() * 2);
        IoResult got = co_await client_.read_some(input.data() + input.size(), input.room());
        if (got.error) co_return Next::kClose;
        if (idle_) client_.set_deadline(steady_now() + kHeadTime);
        idle_ = false;
        input.resize(input.size() + got.bytes);
    }
    client_.set_deadline(SweepEntry::kNever);
    head_size = scan.size;
    idle_ = false;
    co_return Next::kExchange;
}

net::awaitable<void> Connection::run() {
    Buffer input = worker_.buffers.take(kInputBytes);
    while (!closing_) {
        if (!input) input = worker_.buffers.take(kInputBytes);
        std::size_t head_size = 0;
        if (co_await read_head(input, head_size) == Next::kClose) break;
        Result<wire::RequestHead> head = wire::parse_request_head(input.view().substr(0, head_size));
        if (!head) {
            co_await refuse(400, head.error().text());
            break;
        }
        Exchange::After after = Exchange::After::kClose;
        {
            Exchange exchange(worker_, client_, *head, input, head_size);
            exchange_ = &exchange;
            after = co_await exchange.run();
            exchange_ = nullptr;
            served_ = true;
        }
        if (after == Exchange::After::kLinger) co_await client_.linger();
        if (after != Exchange::After::kKeepAlive) break;
        idle_ = input.size() == 0;
    }
    client_.close();
}

}  // namespace balancer::dataplane
