#include "tests/scenario/rogue_plane.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <utility>

#include "dataplane/control/channel.hpp"
#include "model/protocol.hpp"

namespace balancer::tests {
namespace {

v1::SyncRequest hello_of(const std::string& id, const std::string& instance) {
    v1::SyncRequest message;
    v1::Hello& hello = *message.mutable_hello();
    hello.set_dp_id(id);
    hello.set_instance_id(instance);
    hello.set_build("rogue");
    hello.set_protocol_major(kProtocolMajor);
    return message;
}

v1::SyncRequest ack_of(const v1::Update& update) {
    v1::SyncRequest message;
    message.mutable_ack()->set_nonce(update.nonce());
    *message.mutable_ack()->mutable_applied() = update.version();
    return message;
}

}  // namespace

RoguePlane::RoguePlane(const std::string& address, const std::string& token, std::string id)
    : id_(std::move(id)),
      channel_(dataplane::make_channel(address)),
      stub_(v1::DataPlane::NewStub(channel_)) {
    dataplane::set_token(context_, token);
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    stream_ = stub_->Sync(&context_);
}

RoguePlane::~RoguePlane() {
    context_.TryCancel();
    wait_for_end();
}

bool RoguePlane::hello(const std::function<void(v1::Hello&)>& change) {
    v1::SyncRequest message = hello_of(id_, "instance-of-" + id_);
    if (change) change(*message.mutable_hello());
    return send(message);
}

std::optional<v1::SyncResponse> RoguePlane::read(v1::SyncResponse::MsgCase kind) {
    v1::SyncResponse message;
    while (stream_->Read(&message)) {
        if (message.msg_case() == kind) return message;
    }
    return std::nullopt;
}

std::optional<v1::Update> RoguePlane::read_update() {
    std::optional<v1::SyncResponse> message = read(v1::SyncResponse::kUpdate);
    if (!message) return std::nullopt;
    return message->update();
}

bool RoguePlane::acknowledge(const v1::Update& update) {
    return send(ack_of(update));
}

grpc::Status RoguePlane::wait_for_end() {
    if (std::exchange(finished_, true)) return grpc::Status::OK;
    v1::SyncResponse ignored;
    while (stream_->Read(&ignored)) {
    }
    return stream_->Finish();
}

Crowd::Crowd(std::string address, std::string token, unsigned count)
    : address_(std::move(address)), token_(std::move(token)) {
    work_.emplace(loop_->get_executor());
    for (unsigned i = 0; i < count; ++i) {
        auto member = std::make_unique<Member>();
        member->id = fmt::format("crowd-{}", i);
        member->channel = dataplane::make_channel(address_);
        member->timer = std::make_unique<boost::asio::steady_timer>(*loop_);
        members_.push_back(std::move(member));
    }
    boost::asio::post(*loop_, [this] {
        for (auto& member : members_) connect(*member);
    });
    thread_ = std::thread([this] { loop_->run(); });
}

Crowd::~Crowd() {
    boost::asio::post(*loop_, [this] {
        stopping_ = true;
        for (auto& member : members_) {
            member->timer->cancel();
            if (member->stream) member->stream->close();
        }
        work_.reset();
    });
    thread_.join();
}

void Crowd::reconnect() {
    {
        std::lock_guard lock(mutex_);
        for (auto& member : members_) member->seq = 0;
    }
    boost::asio::post(*loop_, [this] {
        for (auto& member : members_) {
            if (member->stream) member->stream->close();
            member->timer->cancel();
            connect(*member);
        }
    });
}

unsigned Crowd::at_least(std::uint64_t seq) const {
    std::lock_guard lock(mutex_);
    unsigned count = 0;
    for (const auto& member : members_) count += member->seq >= seq ? 1 : 0;
    return count;
}

void Crowd::connect(Member& member) {
    member.stream = std::make_shared<Stream>(loop_);
    member.wait = Milliseconds(100);
    dataplane::set_token(member.stream->context(), token_);
    auto stub = v1::DataPlane::NewStub(member.channel);
    stub->async()->Sync(&member.stream->context(), member.stream.get());
    Stream::Handlers handlers;
    handlers.on_message = [this, &member](const v1::SyncResponse& response) {
        received(member, response);
    };
    handlers.on_done = [this, &member](const grpc::Status&) {
        if (stopping_) return;
        member.timer->expires_after(member.wait);
        member.timer->async_wait([this, &member](const boost::system::error_code& ec) {
            if (!ec && !stopping_) connect(member);
        });
    };
    member.stream->start(std::move(handlers));
    member.stream->send(hello_of(member.id, "instance-of-" + member.id));
}

void Crowd::received(Member& member, const v1::SyncResponse& response) {
    if (response.has_goaway()) member.wait = Milliseconds(response.goaway().retry_after_ms());
    if (!response.has_update()) return;
    member.stream->send(ack_of(response.update()));
    std::lock_guard lock(mutex_);
    member.seq = response.update().version().seq();
}

}  // namespace balancer::tests
