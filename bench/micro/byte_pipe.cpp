#include "bench/micro/byte_pipe.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace balancer::bench {
namespace {

constexpr int kBufferBytes = 1 << 20;

void check(bool good) {
    if (!good) throw std::system_error(errno, std::system_category(), "BytePipe");
}

}  // namespace

// TCP over loopback, as between proxy and provider on one host; a pair of UNIX sockets would be cheaper than what is real.
BytePipe::BytePipe() : waste_(kBufferBytes) {
    int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    check(listener >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    check(::bind(listener, generic, size) == 0 && ::listen(listener, 1) == 0);
    check(::getsockname(listener, generic, &size) == 0);
    ends_[0] = ::socket(AF_INET, SOCK_STREAM, 0);
    check(ends_[0] >= 0);
    int on = 1;
    ::setsockopt(ends_[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(ends_[0], SOL_SOCKET, SO_SNDBUF, &kBufferBytes, sizeof kBufferBytes);
    ::setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &kBufferBytes, sizeof kBufferBytes);
    check(::connect(ends_[0], generic, size) == 0);
    ends_[1] = ::accept(listener, nullptr, nullptr);
    check(ends_[1] >= 0);
    ::close(listener);
}

BytePipe::~BytePipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
}

void BytePipe::write(std::span<const std::string_view> pieces) {
    vectors_.clear();
    std::size_t bytes = 0;
    for (std::string_view piece : pieces) {
        vectors_.push_back({const_cast<char*>(piece.data()), piece.size()});
        bytes += piece.size();
    }
    msghdr message{};
    message.msg_iov = vectors_.data();
    message.msg_iovlen = vectors_.size();
    check(::sendmsg(ends_[0], &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes));
}

std::size_t BytePipe::read(char* data, std::size_t size) {
    ssize_t got = ::recv(ends_[1], data, size, 0);
    check(got >= 0);
    return static_cast<std::size_t>(got);
}

void BytePipe::drain() {
    while (::recv(ends_[1], waste_.data(), waste_.size(), MSG_DONTWAIT) > 0) {
    }
}

}  // namespace balancer::bench
