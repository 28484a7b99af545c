#include "dataplane/downstream/client_stream.hpp"

#include <sys/socket.h>

#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>

#include "base/management_http.hpp"
#include "base/net.hpp"

namespace balancer::dataplane {

using tcp = net::ip::tcp;

namespace {

// A client that takes nothing for this long is gone in all but name.
constexpr std::chrono::minutes kWriteStallMax{5};
constexpr std::size_t kWriteAtOnce = 256U << 10;
constexpr Milliseconds kWatchAfter{100};
constexpr std::chrono::seconds kLinger{2};

}  // namespace

ClientStream::ClientStream(tcp::socket socket, Sweep& sweep)
    : socket_(std::move(socket)),
      deadline_(sweep, [this] {
          timed_out_ = true;
          close();
      }),
      watch_start_(sweep, [this] { start_watch(); }),
      turn_(socket_.get_executor()) {
    turn_.expires_at(SweepEntry::kNever);
    ErrorCode ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    tcp::endpoint peer = socket_.remote_endpoint(ignored);
    if (!ignored) remote_ = to_string(peer);
}

ClientStream::~ClientStream() = default;

net::awaitable<IoResult> ClientStream::read_some(char* data, std::size_t size) {
    auto [ec, n] = co_await socket_.async_read_some(net::mutable_buffer(data, size), kNoThrow);
    co_return IoResult{ec, n};
}

net::awaitable<ErrorCode> ClientStream::write(std::span<const net::const_buffer> buffers) {
    while (writing_) co_await turn_.async_wait(kNoThrow);
    writing_ = true;
    // A slow client is no stalled one: each part that it takes gives it time for the next.
    auto progress = [this](const ErrorCode& error, std::size_t) -> std::size_t {
        deadline_.arm(steady_now() + kWriteStallMax);
        return error ? 0 : kWriteAtOnce;
    };
    auto [ec, n] = co_await net::async_write(socket_, buffers, progress, kNoThrow);
    deadline_.disarm();
    last_write_ = steady_now();
    writing_ = false;
    write_next();
    turn_.cancel();
    co_return ec;
}

net::awaitable<ErrorCode> ClientStream::write(std::string_view bytes) {
    std::array<net::const_buffer, 1> buffers = {net::const_buffer(bytes.data(), bytes.size())};
    co_return co_await write(buffers);
}

void ClientStream::write_behind(ClientPiece piece) {
    if (failed_) return;
    unwritten_ += piece.size();
    behind_.push_back(std::move(piece));
    write_next();
}

// All that is in line goes out in one write.
void ClientStream::write_next() {
    if (writing_ || behind_.empty()) return;
    writing_ = true;
    in_write_.swap(behind_);
    buffers_.clear();
    for (const ClientPiece& piece : in_write_) {
        if (!piece.before.empty()) buffers_.emplace_back(piece.before.data(), piece.before.size());
        if (piece.shared) buffers_.emplace_back(piece.shared->data(), piece.shared->size());
        if (!piece.after.empty()) buffers_.emplace_back(piece.after.data(), piece.after.size());
    }
    auto progress = [this](const ErrorCode& error, std::size_t) -> std::size_t {
        deadline_.arm(steady_now() + kWriteStallMax);
        return error ? 0 : kWriteAtOnce;
    };
    std::span<const net::const_buffer> all(buffers_);
    net::async_write(socket_, all, progress, [this](const ErrorCode& error, std::size_t) {
        deadline_.disarm();
        last_write_ = steady_now();
        writing_ = false;
        for (const ClientPiece& piece : in_write_) unwritten_ -= piece.size();
        in_write_.clear();
        if (error) {
            failed_ = error;
            behind_.clear();
            unwritten_ = 0;
        }
        write_next();
        turn_.cancel();
    });
}

net::awaitable<void> ClientStream::progress() {
    if (writing_) co_await turn_.async_wait(kNoThrow);
}

void ClientStream::cut_behind(std::string last) {
    for (const ClientPiece& piece : behind_) unwritten_ -= piece.size();
    behind_.clear();
    write_behind({std::move(last)});
}

void ClientStream::watch(std::function<void()> on_gone) {
    on_gone_ = std::move(on_gone);
    watch_start_.arm(steady_now() + kWatchAfter);
}

void ClientStream::start_watch() {
    if (!socket_.is_open() || !on_gone_ || watching_) return;
    watching_ = true;
    socket_.async_wait(
        tcp::socket::wait_read,
        net::bind_cancellation_slot(watch_cancel_.slot(), [this](const ErrorCode& error) {
            on_readable(error);
        })
    );
}

void ClientStream::on_readable(const ErrorCode& error) {
    watching_ = false;
    turn_.cancel();
    if (error == net::error::operation_aborted || !on_gone_) return;
    char byte = 0;
    ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    // Bytes: the client sends its next request early. It is there, and cannot be watched further.
    if (n > 0) return;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        start_watch();
        return;
    }
    std::function<void()> gone = std::move(on_gone_);
    on_gone_ = nullptr;
    gone();
}

net::awaitable<void> ClientStream::settle() {
    on_gone_ = nullptr;
    watch_start_.disarm();
    if (watching_) watch_cancel_.emit(net::cancellation_type::terminal);
    while (watching_ || writing_) co_await turn_.async_wait(kNoThrow);
}

bool ClientStream::has_unread() {
    char byte = 0;
    return ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void ClientStream::close() {
    ErrorCode ignored;
    socket_.close(ignored);
}

void ClientStream::break_off() {
    ErrorCode ignored;
    socket_.set_option(tcp::socket::linger(true, 0), ignored);
    close();
}

net::awaitable<void> ClientStream::linger() {
    ErrorCode ec;
    socket_.shutdown(tcp::socket::shutdown_send, ec);
    if (ec) co_return;
    deadline_.arm(steady_now() + kLinger);
    std::array<char, 8192> scratch;
    for (;;) {
        IoResult got = co_await read_some(scratch.data(), scratch.size());
        if (got.error) co_return;
    }
}

}  // namespace balancer::dataplane
