// A pair of connected sockets: what a proxy pays to the kernel for bytes that come in and go out.
#pragma once

#include <sys/uio.h>

#include <span>
#include <string_view>
#include <vector>

namespace balancer::bench {

// Both ends are on the caller's thread, so no more is under way than the sockets' buffers hold (1 MiB is asked for). Throws
// std::system_error.
class BytePipe {
  public:
    BytePipe();
    ~BytePipe();
    BytePipe(const BytePipe&) = delete;
    BytePipe& operator=(const BytePipe&) = delete;

    // One gathering write, as a proxy makes it. All of it fits.
    void write(std::span<const std::string_view> pieces);
    // Reads what is there, at most `size`.
    std::size_t read(char* data, std::size_t size);
    // Reads everything and throws it away: what the peer would do, not part of what is measured.
    void drain();

  private:
    int ends_[2] = {-1, -1};
    std::vector<iovec> vectors_;
    std::vector<char> waste_;
};

}  // namespace balancer::bench
