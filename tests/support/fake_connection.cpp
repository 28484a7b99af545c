#include "tests/support/fake_connection.hpp"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/net.hpp"
#include "tests/support/anthropic_dialect.hpp"

namespace balancer::tests {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kHeadBytesMax = std::size_t{1} << 20;
constexpr std::size_t kBodyBytesMax = std::size_t{1} << 28;
constexpr milliseconds kLinger{1000};

// METHOD TARGET VERSION; false when it is not.
bool read_start_line(std::string_view line, RecordedRequest& request) {
    std::size_t first = line.find(' ');
    std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) return false;
    request.method = std::string(line.substr(0, first));
    request.target = std::string(line.substr(first + 1, last - first - 1));
    request.version = std::string(line.substr(last + 1));
    return request.version.starts_with("HTTP/1.");
}

}  // namespace

FakeConnection::FakeConnection(
    PeerStream stream, ScriptSlot& slot, RequestLog& log, std::uint64_t number
)
    : stream_(std::move(stream)),
      slot_(slot),
      log_(log),
      number_(number),
      tick_(stream_.socket().get_executor()) {}

net::awaitable<void> FakeConnection::run(std::shared_ptr<FakeConnection> self) {
    ErrorCode failed = co_await self->stream_.handshake();
    if (!failed && !self->gone_) {
        net::co_spawn(self->tick_.get_executor(), pump(self), net::detached);
        Next next = Next::kReadOn;
        while (next == Next::kReadOn) next = co_await self->serve_request();
    }
    self->stop();
}

void FakeConnection::stop() {
    gone_ = true;
    stream_.close();
    tick_.cancel();
}

// Reads all the time, so that a peer that goes away is noticed while a reply pauses.
net::awaitable<void> FakeConnection::pump(std::shared_ptr<FakeConnection> self) {
    std::array<char, 65536> block;
    while (!self->gone_) {
        auto [ec, n] = co_await self->stream_.read_some(block.data(), block.size());
        self->inbound_.append(block.data(), n);
        if (ec) self->gone_ = true;
        self->tick_.cancel();
    }
}

net::awaitable<void> FakeConnection::wait_until(Clock::time_point deadline) {
    tick_.expires_at(deadline);
    co_await tick_.async_wait(kNoThrow);
}

net::awaitable<FakeConnection::Next> FakeConnection::serve_request() {
    RecordedRequest request;
    request.connection = number_;
    bool readable = co_await read_head(request);
    if (!readable) co_return Next::kOver;
    request.tls_server_name = stream_.server_name();
    request.tls_resumed = stream_.resumed();
    bool reads_body = true;
    {
        std::lock_guard lock(slot_.mutex);
        reads_body = slot_.cursor.script().reads_body;
    }
    if (reads_body) {
        bool wanted = co_await answer_expectation(request);
        if (!wanted) co_return Next::kOver;
        co_await read_body(request);
    }
    read_anthropic_request(request.body, request.model, request.stream);
    request.number = log_.add(request);
    if (reads_body && !request.body_complete) {
        log_.finish(request, Playback::kAbandoned);
        co_return Next::kOver;
    }
    Reply reply = compose_reply(next_step(request), request);
    if (!reads_body && reply.ending == Ending::kKeepAlive) reply.ending = Ending::kClose;
    Playback playback = co_await play(reply);
    log_.finish(request, playback);
    if (playback == Playback::kAbandoned) co_return Next::kOver;
    if (reply.ending == Ending::kKeepAlive) co_return Next::kReadOn;
    co_await end(reply.ending);
    co_return Next::kOver;
}

net::awaitable<bool> FakeConnection::read_head(RecordedRequest& request) {
    std::optional<std::size_t> size = head_size(inbound_);
    while (!size && !gone_ && inbound_.size() < kHeadBytesMax) {
        co_await wait_until(Clock::time_point::max());
        size = head_size(inbound_);
    }
    if (!size) co_return false;
    std::optional<HttpHead> head = parse_head(std::string_view(inbound_).substr(0, *size));
    inbound_.erase(0, *size);
    if (!head || !read_start_line(head->start_line, request)) {
        co_await stream_.write("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
        co_return false;
    }
    request.headers = std::move(head->headers);
    co_return true;
}

// False when the body is not wanted.
net::awaitable<bool> FakeConnection::answer_expectation(const RecordedRequest& request) {
    if (!same_name(request.header("expect"), "100-continue")) co_return true;
    OnExpect answer = OnExpect::kContinue;
    {
        std::lock_guard lock(slot_.mutex);
        answer = slot_.cursor.script().on_expect;
    }
    if (answer == OnExpect::kContinue) {
        co_await stream_.write("HTTP/1.1 100 Continue\r\n\r\n");
    } else if (answer == OnExpect::kRefuse) {
        co_await stream_.write(
            "HTTP/1.1 417 Expectation Failed\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        co_await end(Ending::kClose);
    }
    co_return answer != OnExpect::kRefuse;
}

net::awaitable<void> FakeConnection::read_body(RecordedRequest& request) {
    BodyDecoder decoder = BodyDecoder::of_request(request.headers);
    for (;;) {
        BodyDecoder::State state = decoder.decode(inbound_, request.body);
        request.body_complete = state == BodyDecoder::State::kComplete;
        if (state != BodyDecoder::State::kMore || gone_) co_return;
        if (request.body.size() > kBodyBytesMax) co_return;
        co_await wait_until(Clock::time_point::max());
    }
}

Step FakeConnection::next_step(const RecordedRequest& request) {
    constexpr std::string_view kScheme = "Bearer ";
    std::string token = request.header("authorization");
    if (slot_.accepts_token && (!token.starts_with(kScheme) || !slot_.accepts_token(token.substr(kScheme.size())))) {
        return status_step(401);
    }
    std::lock_guard lock(slot_.mutex);
    return slot_.cursor.next({request.path(), request.model, &request.headers, request.stream});
}

net::awaitable<Playback> FakeConnection::play(const Reply& reply) {
    Playback playback = co_await play_pieces(reply);
    if (playback != Playback::kPlayed || reply.ending != Ending::kHang) co_return playback;
    while (!gone_) co_await wait_until(Clock::time_point::max());
    co_return Playback::kAbandoned;
}

net::awaitable<Playback> FakeConnection::play_pieces(const Reply& reply) {
    for (const Piece& piece : reply.pieces) {
        Clock::time_point due = Clock::now() + piece.gap;
        while (piece.gap.count() > 0 && !gone_ && Clock::now() < due) co_await wait_until(due);
        if (gone_) co_return Playback::kAbandoned;
        if (piece.bytes.empty()) continue;
        ErrorCode failed = co_await stream_.write(piece.bytes);
        if (failed) co_return Playback::kAbandoned;
    }
    co_return Playback::kPlayed;
}

net::awaitable<void> FakeConnection::end(Ending ending) {
    Clock::time_point patience = Clock::now() + kLinger;
    switch (ending) {
        case Ending::kKeepAlive:
        case Ending::kHang:
        case Ending::kCloseAtOnce:
            break;
        case Ending::kClose:
            co_await stream_.finish();
            while (!gone_ && Clock::now() < patience) co_await wait_until(patience);
            break;
        case Ending::kReset:
            while (!gone_ && stream_.unsent_bytes() > 0 && Clock::now() < patience) {
                co_await wait_until(Clock::now() + milliseconds(1));
            }
            stream_.reset();
            break;
    }
}

}  // namespace balancer::tests
