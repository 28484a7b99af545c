#include "tests/support/test_proxies.hpp"

#include <fmt/format.h>

#include "tests/support/loopback_server.hpp"
#include "tests/support/proxy_session.hpp"

namespace balancer::tests {

struct TestProxy::Impl {
    TestProxyOptions options;
    ProxyLedger ledger;
    LoopbackServer server;  // last: its thread uses the others

    explicit Impl(const TestProxyOptions& given) : options(given) {
        server.start("127.0.0.1:0", [this](boost::asio::ip::tcp::socket socket) {
            auto session = std::make_shared<ProxySession>(std::move(socket), options, ledger);
            return LoopbackServer::Session{
                ProxySession::run(session),
                [weak = std::weak_ptr(session)] {
                    if (auto alive = weak.lock()) alive->stop();
                },
            };
        });
    }
};

TestProxy::TestProxy(const TestProxyOptions& options) : impl_(std::make_unique<Impl>(options)) {}

TestProxy::~TestProxy() {
    stop();
}

std::uint16_t TestProxy::port() const {
    return impl_->server.port();
}

std::string TestProxy::url() const {
    const char* scheme = impl_->options.kind == ProxyKind::kHttpConnect ? "http" : "socks5";
    const std::optional<ProxyAccess>& access = impl_->options.access;
    std::string login = access ? access->user + ":" + access->password + "@" : "";
    return fmt::format("{}://{}{}", scheme, login, impl_->server.address());
}

std::vector<std::string> TestProxy::targets() const {
    std::lock_guard lock(impl_->ledger.mutex);
    return impl_->ledger.targets;
}

std::size_t TestProxy::denied_count() const {
    std::lock_guard lock(impl_->ledger.mutex);
    return impl_->ledger.denied;
}

void TestProxy::stop() {
    impl_->server.stop();
}

}  // namespace balancer::tests
