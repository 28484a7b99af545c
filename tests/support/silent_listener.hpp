// An address where nobody answers: for tests of what happens when packets get lost.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>

namespace balancer::tests {

// Listens, but nobody accepts or reads. Connects get no answer at all, or are queued and never read from.
class SilentListener {
  public:
    enum class Connects { kGetNoAnswer, kAreQueued };

    explicit SilentListener(Connects connects = Connects::kGetNoAnswer) {
        bool full = connects == Connects::kGetNoAnswer;
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address);
        ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
        ::listen(listener_, full ? 0 : 16);
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        for (int& filler : fillers_) {
            if (!full) break;
            filler = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            ::connect(filler, reinterpret_cast<sockaddr*>(&address), size);
        }
    }
    ~SilentListener() {
        for (int filler : fillers_) {
            if (filler >= 0) ::close(filler);
        }
        ::close(listener_);
    }
    SilentListener(const SilentListener&) = delete;
    SilentListener& operator=(const SilentListener&) = delete;

    std::uint16_t port() const { return port_; }
    std::string base_url() const { return fmt::format("http://127.0.0.1:{}", port_); }

  private:
    int listener_ = -1;
    std::array<int, 4> fillers_{-1, -1, -1, -1};
    std::uint16_t port_ = 0;
};

}  // namespace balancer::tests
