#include "dataplane/upstream/resolver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/net.hpp"

namespace balancer::dataplane {

using tcp = net::ip::tcp;

namespace {

std::string key_of(const std::string& host, std::uint16_t port) { return fmt::format("{}:{}", host, port); }

void move_to_front(Addresses& addresses, const tcp::endpoint& address) {
    auto found = std::find(addresses.begin(), addresses.end(), address);
    if (found != addresses.end()) std::rotate(addresses.begin(), found, std::next(found));
}

}  // namespace

struct Resolver::Mailbox {
    std::mutex mutex;
    Resolver* resolver = nullptr;  // null once it is gone
};

Result<Addresses> system_look_up(const std::string& host, std::uint16_t port) {
    net::io_context local;
    tcp::resolver resolver(local);
    ErrorCode ec;
    auto entries = resolver.resolve(host, std::to_string(port), ec);
    if (ec) return Error{ec, ec.message()};
    Addresses addresses;
    for (const auto& entry : entries) addresses.push_back(entry.endpoint());
    return addresses;
}

Resolver::Resolver(net::io_context& context, LookUp look_up)
    : context_(context), look_up_(std::move(look_up)), mailbox_(std::make_shared<Mailbox>()) {
    mailbox_->resolver = this;
}

Resolver::~Resolver() {
    std::lock_guard lock(mailbox_->mutex);
    mailbox_->resolver = nullptr;
}

net::awaitable<Result<Addresses>> Resolver::resolve(
    UpstreamStream& stream, const std::string& host, std::uint16_t port
) {
    ErrorCode not_an_address;
    net::ip::address literal = net::ip::make_address(host, not_an_address);
    if (!not_an_address) co_return Addresses{tcp::endpoint(literal, port)};

    Name& name = names_[key_of(host, port)];  // names are never erased: they are the configuration's
    SteadyTime now = steady_now();
    bool known = !name.addresses.empty();
    if (known && now - name.looked_up_at < kFresh) co_return name.addresses;
    if (!name.running && (!known || now - name.failed_at >= kRetry)) start(key_of(host, port), host, port);
    if (known && (now - name.looked_up_at < kStale || !name.running)) co_return name.addresses;

    net::steady_timer over(context_, known ? now + kPatience : SteadyTime::max());
    name.waiting.insert(&over);
    stream.set_on_abort([&over] { over.cancel(); });
    co_await over.async_wait(kNoThrow);
    stream.set_on_abort({});
    name.waiting.erase(&over);
    if (stream.aborted()) {
        co_return Error{net::error::operation_aborted, fmt::format("resolving {} was given up", host)};
    }
    if (!name.addresses.empty()) co_return name.addresses;
    co_return Error{
        name.problem.code, fmt::format("cannot resolve {}: {}", host, name.problem.text())
    };
}

ErrorCode no_thread(const std::system_error& problem) {
    return {problem.code().value(), boost::system::system_category()};
}

void Resolver::start(const std::string& key, const std::string& host, std::uint16_t port) {
    names_[key].running = true;
    auto run = [mailbox = mailbox_, look_up = look_up_, key, host, port] {
        Result<Addresses> found = look_up(host, port);
        std::lock_guard lock(mailbox->mutex);
        if (mailbox->resolver == nullptr) return;
        net::post(mailbox->resolver->context_, [mailbox, key, found = std::move(found)]() mutable {
            if (mailbox->resolver != nullptr) mailbox->resolver->finish(key, std::move(found));
        });
    };
    try {
        std::thread(std::move(run)).detach();
    } catch (const std::system_error& problem) {
        // No thread to be had: said as a failed look-up, but after the caller has begun to wait.
        Error error{no_thread(problem), problem.what()};
        net::post(context_, [this, key, error = std::move(error)] { finish(key, error); });
    }
}

void Resolver::finish(const std::string& key, Result<Addresses> found) {
    Name& name = names_[key];
    name.running = false;
    if (found && !found->empty()) {
        // The address that answered last is tried first as long as it is there.
        if (!name.addresses.empty()) move_to_front(*found, name.addresses.front());
        name.addresses = *std::move(found);
        name.looked_up_at = steady_now();
    } else {
        name.failed_at = steady_now();
        name.problem = found ? Error{net::error::host_not_found, "it has no address"} : found.error();
    }
    for (net::steady_timer* waiting : name.waiting) waiting->cancel();
}

void Resolver::prefer(const std::string& host, std::uint16_t port, const tcp::endpoint& address) {
    auto name = names_.find(key_of(host, port));
    if (name != names_.end()) move_to_front(name->second.addresses, address);
}

}  // namespace balancer::dataplane
