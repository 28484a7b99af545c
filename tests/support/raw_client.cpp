#include "tests/support/raw_client.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace balancer::tests {
namespace {

using Clock = std::chrono::steady_clock;

Error socket_error(const char* what) {
    ErrorCode code(errno, boost::system::system_category());
    return Error{code, fmt::format("{}: {}", what, code.message())};
}

Error timed_out(const char* what) {
    return Error{
        make_error_code(boost::system::errc::timed_out), fmt::format("{} took too long", what)
    };
}

// False when the deadline comes first.
bool wait_for(int socket, short events, Clock::time_point deadline) {
    for (;;) {
        auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd entry{socket, events, 0};
        int ready = ::poll(&entry, 1, static_cast<int>(std::max<long>(left.count(), 0)));
        if (ready > 0) return true;
        if (ready == 0 || errno != EINTR) return false;
    }
}

// Takes one event from the front of `text`; comments alone are no event.
std::optional<SseEvent> take_event(std::string& text) {
    for (;;) {
        std::size_t end = text.find("\n\n");
        if (end == std::string::npos) return std::nullopt;
        std::string block = text.substr(0, end + 1);
        text.erase(0, end + 2);
        SseEvent event;
        bool any = false;
        for (std::size_t at = 0; at < block.size();) {
            std::size_t stop = block.find('\n', at);
            std::string_view line = std::string_view(block).substr(at, stop - at);
            at = stop + 1;
            bool name = line.starts_with("event: ");
            if (!name && !line.starts_with("data: ")) continue;
            (name ? event.name : event.data) = std::string(line.substr(name ? 7 : 6));
            any = true;
        }
        if (any) return event;
    }
}

}  // namespace

Result<RawClient> RawClient::connect(std::uint16_t port, Timeout timeout) {
    RawClient client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    int on = 1;
    ::setsockopt(client.socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int failed = ::connect(client.socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    if (failed && errno != EINPROGRESS) return socket_error("connect");
    if (failed && !wait_for(client.socket_, POLLOUT, Clock::now() + timeout)) {
        return timed_out("connect");
    }
    int connect_error = 0;
    socklen_t size = sizeof(connect_error);
    ::getsockopt(client.socket_, SOL_SOCKET, SO_ERROR, &connect_error, &size);
    errno = connect_error;
    if (errno != 0) return socket_error("connect");
    return client;
}

RawClient::RawClient(RawClient&& other) noexcept {
    *this = std::move(other);
}

RawClient& RawClient::operator=(RawClient&& other) noexcept {
    if (this == &other) return *this;
    close();
    socket_ = std::exchange(other.socket_, -1);
    inbound_ = std::move(other.inbound_);
    head_request_ = other.head_request_;
    body_open_ = other.body_open_;
    decoder_ = other.decoder_;
    event_text_ = std::move(other.event_text_);
    body_seen_ = other.body_seen_;
    sent_at_ = other.sent_at_;
    return *this;
}

RawClient::~RawClient() {
    close();
}

void RawClient::close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void RawClient::abort() {
    linger now{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close();
}

void RawClient::finish_sending() {
    ::shutdown(socket_, SHUT_WR);
}

Result<void> RawClient::send(std::string_view bytes, Timeout timeout) {
    Clock::time_point deadline = Clock::now() + timeout;
    sent_at_ = Clock::now();
    while (!bytes.empty()) {
        ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(n));
        } else if (errno != EAGAIN && errno != EINTR) {
            return socket_error("send");
        } else if (!wait_for(socket_, POLLOUT, deadline)) {
            return timed_out("send");
        }
    }
    return {};
}

RawClient::Input RawClient::read_more(Clock::time_point deadline) {
    std::array<char, 65536> block;
    for (;;) {
        if (!wait_for(socket_, POLLIN, deadline)) return Input::kTimeout;
        ssize_t n = ::recv(socket_, block.data(), block.size(), 0);
        if (n > 0) {
            inbound_.append(block.data(), static_cast<std::size_t>(n));
            return Input::kBytes;
        }
        if (n == 0) return Input::kEnd;
        if (errno != EAGAIN && errno != EINTR) return Input::kReset;
    }
}

Result<RawResponse> RawClient::read_head(Timeout timeout) {
    Clock::time_point deadline = Clock::now() + timeout;
    std::optional<std::size_t> size;
    while (!(size = head_size(inbound_))) {
        switch (read_more(deadline)) {
            case Input::kBytes:
                break;
            case Input::kEnd:
                return invalid("the connection ended before a response head");
            case Input::kReset:
                return invalid("the connection was reset before a response head");
            case Input::kTimeout:
                return timed_out("the response head");
        }
    }
    std::optional<HttpHead> head = parse_head(std::string_view(inbound_).substr(0, *size));
    if (!head || status_of(head->start_line) == 0) return invalid("that head is not HTTP");
    inbound_.erase(0, *size);
    RawResponse response;
    response.start_line = std::move(head->start_line);
    response.headers = std::move(head->headers);
    response.status = status_of(response.start_line);
    decoder_ = BodyDecoder::of_response(response.headers, response.status, head_request_);
    body_open_ = true;
    body_seen_ = 0;
    event_text_.clear();
    return response;
}

bool RawClient::advance_body(RawResponse& response, Clock::time_point deadline) {
    if (!body_open_) return false;
    std::size_t size_before = response.body.size();
    BodyDecoder::State state = decoder_.decode(inbound_, response.body);
    // Whoever waits for events looks at these bytes before more are waited for.
    bool grown = response.body.size() > size_before;
    if (grown && state == BodyDecoder::State::kMore) return true;
    Input input = Input::kBytes;
    if (state == BodyDecoder::State::kMore) {
        input = read_more(deadline);
        if (input == Input::kBytes) return true;
    }
    body_open_ = false;
    if (state == BodyDecoder::State::kMalformed) {
        response.end = BodyEnd::kMalformed;
    } else if (input == Input::kReset) {
        response.end = BodyEnd::kReset;
    } else if (input == Input::kTimeout) {
        response.end = BodyEnd::kTimeout;
        body_open_ = true;
    } else if (input == Input::kEnd && !decoder_.ends_with_connection()) {
        response.end = BodyEnd::kCut;
    } else {
        response.end = BodyEnd::kComplete;
    }
    return false;
}

void RawClient::read_body(RawResponse& response, Timeout timeout) {
    Clock::time_point deadline = Clock::now() + timeout;
    while (advance_body(response, deadline)) continue;
}

Result<SseEvent> RawClient::read_event(RawResponse& response, Timeout timeout) {
    Clock::time_point deadline = Clock::now() + timeout;
    for (;;) {
        if (std::optional<SseEvent> event = take_event(event_text_)) {
            event->at =
                std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - sent_at_);
            return *event;
        }
        bool more = advance_body(response, deadline);
        bool grown = response.body.size() > body_seen_;
        event_text_ += response.body.substr(body_seen_);
        body_seen_ = response.body.size();
        if (!more && !grown) return invalid("the stream has no further event");
    }
}

Result<RawResponse> RawClient::read_response(Timeout timeout) {
    Clock::time_point deadline = Clock::now() + timeout;
    for (;;) {
        auto left = std::chrono::duration_cast<Timeout>(deadline - Clock::now());
        Result<RawResponse> response = read_head(left);
        if (!response) return response;
        if (response->status < 200) continue;
        while (advance_body(*response, deadline)) continue;
        head_request_ = false;
        return response;
    }
}

Result<RawResponse> RawClient::exchange(std::string_view request, Timeout timeout) {
    if (request.starts_with("HEAD ")) expect_no_body();
    Result<void> sent = send(request, timeout);
    if (!sent) return sent.error();
    return read_response(timeout);
}

bool RawClient::wait_for_close(Timeout timeout) {
    Clock::time_point deadline = Clock::now() + timeout;
    for (;;) {
        Input input = read_more(deadline);
        if (input != Input::kBytes) return input != Input::kTimeout;
    }
}

std::optional<char> RawClient::read_byte(Timeout timeout) {
    if (inbound_.empty() && read_more(Clock::now() + timeout) != Input::kBytes) return std::nullopt;
    char byte = inbound_.front();
    inbound_.erase(0, 1);
    return byte;
}

std::vector<SseEvent> split_events(std::string_view body) {
    std::string text(body);
    std::vector<SseEvent> events;
    while (std::optional<SseEvent> event = take_event(text)) events.push_back(std::move(*event));
    return events;
}

}  // namespace balancer::tests
