#include "dataplane/upstream/proxy_tunnel.hpp"

#include <array>

#include "base/net.hpp"
#include "base/proxy_tunnel.hpp"

namespace balancer::dataplane {
namespace {

class Tunnel final : public TunnelStream {
  public:
    explicit Tunnel(UpstreamStream& stream) : stream_(stream) {}

    net::awaitable<ErrorCode> send(std::string_view bytes) override {
        std::array<net::const_buffer, 1> buffers = {net::const_buffer(bytes.data(), bytes.size())};
        co_return co_await stream_.write(buffers);
    }

    net::awaitable<ErrorCode> receive(char* data, std::size_t size) override {
        while (size > 0) {
            IoResult got = co_await stream_.read_some(data, size);
            if (got.error) co_return got.error;
            data += got.bytes;
            size -= got.bytes;
        }
        co_return ErrorCode();
    }

  private:
    UpstreamStream& stream_;
};

}  // namespace

net::awaitable<Result<void>> open_tunnel(
    UpstreamStream& stream, const ProxySpec& proxy, const Endpoint& target
) {
    Tunnel tunnel(stream);
    TunnelTarget to{target.host, target.port};
    co_return co_await balancer::open_tunnel(tunnel, proxy, to);
}

}  // namespace balancer::dataplane
