// A registry whose streams are made by hand.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/publish/registry.hpp"
#include "samples.hpp"
#include "tests/unit/controlplane/fake_stream.hpp"

namespace balancer::controlplane {

class RegistryTest : public testing::Test {
  protected:
    RegistryTest() { log_.set_level(LogLevel::kError); }

    static PublisherTimes quick() {
        PublisherTimes times;
        times.ping_interval = Milliseconds(20);
        times.ack_max = Milliseconds(60);
        times.silence_max = Milliseconds(90);
        times.lookup_max = Milliseconds(30);
        return times;
    }

    struct Peer {
        std::shared_ptr<FakeStream> stream = std::make_shared<FakeStream>();
        Publisher::Registry::Id id = 0;
    };

    Peer come(v1::Hello hello) {
        Peer peer;
        peer.id = registry().open(peer.stream, "ipv4:127.0.0.1:1");
        v1::SyncRequest message;
        *message.mutable_hello() = std::move(hello);
        registry().received(peer.id, message);
        return peer;
    }

    static v1::Hello hello(const std::string& dp_id, const std::string& instance = "i-1") {
        return hello_of(dp_id, instance).hello();
    }

    void acknowledge(const Peer& peer) {
        v1::Update last = peer.stream->updates().back();
        v1::SyncRequest message;
        message.mutable_ack()->set_nonce(last.nonce());
        *message.mutable_ack()->mutable_applied() = last.version();
        registry().received(peer.id, message);
    }

    void refuse(const Peer& peer, v1::NackCode code) {
        v1::Update last = peer.stream->updates().back();
        v1::SyncRequest message;
        v1::Nack& nack = *message.mutable_nack();
        nack.set_nonce(last.nonce());
        nack.set_code(code);
        *nack.mutable_rejected() = last.version();
        nack.add_errors()->set_message("because");
        registry().received(peer.id, message);
    }

    void publish(const std::string& provider) {
        publisher_.publish_config(samples::config({provider}), {}, "test");
    }

    void publish_failures(std::uint32_t count) {
        v1::HealthSection health;
        health.add_providers()->set_failure_count(count);
        publisher_.publish_health(health, "test");
    }

    // Runs the loop until `done` says so, at most two seconds.
    template <class Done>
    bool run_until(Done done) {
        SteadyTime limit = steady_now() + std::chrono::seconds(2);
        while (!done() && steady_now() < limit) {
            context_.restart();
            context_.run_one_for(Milliseconds(10));
        }
        return done();
    }

    Publisher::Registry& registry() { return publisher_.registry(); }
    v1::DataPlaneView row(int index = 0) {
        return publisher_.data_planes().at(static_cast<std::size_t>(index));
    }

    boost::asio::io_context context_{1};
    Log log_{"test"};
    Publisher publisher_{context_, log_, samples::version(4, 10), "cp", quick()};
};

}  // namespace balancer::controlplane
