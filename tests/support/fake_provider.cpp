#include "tests/support/fake_provider.hpp"

#include <fmt/format.h>

#include <mutex>

#include "tests/support/fake_connection.hpp"
#include "tests/support/loopback_server.hpp"
#include "tests/support/request_log.hpp"

namespace balancer::tests {

struct FakeProvider::Impl {
    ScriptSlot slot;
    RequestLog log;
    std::optional<boost::asio::ssl::context> tls;
    LoopbackServer server;  // last: its thread uses the others

    Impl(Script script, const FakeProviderOptions& options)
        : log(options.requests_kept, options.on_finished) {
        slot.cursor = ScriptCursor(std::move(script));
        slot.accepts_token = options.accepts_token;
        if (options.tls) tls = server_context(*options.tls);
        server.start(options.address, [this](boost::asio::ip::tcp::socket socket) {
            return accept(std::move(socket));
        });
    }

    LoopbackServer::Session accept(boost::asio::ip::tcp::socket socket) {
        std::uint64_t number = log.add_connection();
        PeerStream stream(std::move(socket), tls ? &*tls : nullptr);
        bool refuses = false;
        {
            std::lock_guard lock(slot.mutex);
            refuses = slot.cursor.refuses_connection();
        }
        if (refuses) {
            stream.reset();
            return {};
        }
        auto connection = std::make_shared<FakeConnection>(std::move(stream), slot, log, number);
        return {
            FakeConnection::run(connection),
            [weak = std::weak_ptr(connection)] {
                if (auto alive = weak.lock()) alive->stop();
            },
        };
    }
};

FakeProvider::FakeProvider(Script script, const FakeProviderOptions& options)
    : impl_(std::make_unique<Impl>(std::move(script), options)) {}

FakeProvider::~FakeProvider() {
    stop();
}

std::uint16_t FakeProvider::port() const {
    return impl_->server.port();
}

std::string FakeProvider::address() const {
    return impl_->server.address();
}

std::string FakeProvider::base_url() const {
    if (impl_->tls) return fmt::format("https://localhost:{}", port());
    return fmt::format("http://{}", address());
}

void FakeProvider::set_script(Script script) {
    std::lock_guard lock(impl_->slot.mutex);
    impl_->slot.cursor = ScriptCursor(std::move(script));
}

std::vector<RecordedRequest> FakeProvider::requests() const {
    return impl_->log.requests();
}

std::size_t FakeProvider::request_count() const {
    return impl_->log.request_count();
}

std::size_t FakeProvider::connection_count() const {
    return impl_->log.connection_count();
}

void FakeProvider::clear_requests() {
    impl_->log.clear();
}

bool FakeProvider::wait_for_requests(std::size_t count, milliseconds timeout) const {
    return impl_->log.wait_for_requests(count, timeout);
}

bool FakeProvider::wait_for_abandoned(std::size_t count, milliseconds timeout) const {
    return impl_->log.wait_for_abandoned(count, timeout);
}

bool FakeProvider::wait_for_played(std::size_t count, milliseconds timeout) const {
    return impl_->log.wait_for_played(count, timeout);
}

void FakeProvider::stop() {
    impl_->server.stop();
}

}  // namespace balancer::tests
