// A ControlPlane on a loop that the test turns by hand; no port, no thread.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <optional>

#include "controlplane/control_plane.hpp"
#include "controlplane/publish/registry.hpp"
#include "tests/unit/controlplane/admin/temp_dir.hpp"
#include "tests/unit/controlplane/admin/test_config.hpp"
#include "tests/unit/controlplane/fake_stream.hpp"

namespace balancer::test {

inline controlplane::Environment no_environment() {
    return [](const std::string&) { return std::optional<std::string>(); };
}

class ControlPlaneTest : public testing::Test {
  protected:
    ControlPlaneTest() { log_.set_level(LogLevel::kError); }

    // Writes the file and starts; again: as after a restart on the same store. It must go well.
    void start(const std::string& yaml) {
        try_start(yaml);
        ASSERT_TRUE(started_.has_value()) << started_.error().text();
    }

    void try_start(const std::string& yaml) {
        file_ = dir_.write("config.yaml", yaml);
        plane_.reset();
        stream_.reset();
        plane_.emplace(
            context_,
            log_,
            store_,
            controlplane::ControlPlane::Options{file_, dir_.path(), environment()}
        );
        auto loaded = controlplane::load_config(file_, environment());
        auto* good = std::get_if<controlplane::LoadedConfig>(&loaded);
        ASSERT_NE(good, nullptr);
        started_ = plane_->start(std::move(*good));
    }

    controlplane::Environment environment() {
        return [this](const std::string& name) -> std::optional<std::string> {
            auto found = variables_.find(name);
            if (found == variables_.end()) return std::nullopt;
            return found->second;
        };
    }

    controlplane::ReloadOutcome reload(const std::string& yaml) {
        dir_.write("config.yaml", yaml);
        return plane_->reload("test");
    }

    Result<v1::ChangeResponse> set_enabled(const std::string& name, bool enabled) {
        v1::SetProviderEnabledRequest request;
        request.set_name(name);
        request.set_enabled(enabled);
        request.mutable_context()->set_reason("because");
        return plane_->set_provider_enabled(request);
    }

    v1::ProviderView view(const std::string& name) {
        Result<v1::ListProvidersResponse> list = plane_->list_providers(name);
        EXPECT_TRUE(list.has_value());
        return list && list->providers_size() == 1 ? list->providers(0) : v1::ProviderView();
    }

    // dp-1, if it is not there yet.
    void connect() {
        if (stream_ && !stream_->finished) return;
        stream_ = std::make_shared<controlplane::FakeStream>();
        auto& registry = plane_->publisher().registry();
        stream_id_ = registry.open(stream_, "ipv4:127.0.0.1:1");
        registry.received(stream_id_, controlplane::hello_of("dp-1", "instance-1"));
    }

    // One failure that counts, of an attempt that began just now.
    void fail(
        const std::string& name,
        const std::string& etag,
        v1::FailureClass failure = v1::FAILURE_CLASS_UPSTREAM_5XX,
        std::uint32_t status = 500
    ) {
        connect();
        v1::ReportRequest report;
        v1::Signal& signal = *report.add_signals();
        signal.set_provider(name);
        signal.set_etag(etag);
        signal.set_failure(failure);
        signal.set_http_status(status);
        signal.set_counted(true);
        last_start_ = std::max(last_start_ + 1, unix_now());
        signal.set_started_at_ms(last_start_);
        signal.set_at_ms(last_start_);
        plane_->on_report("dp-1", "instance-1", report);
    }

    TempDir dir_;
    std::map<std::string, std::string> variables_;  // the environment
    Result<void> started_;
    std::filesystem::path file_;
    boost::asio::io_context context_{1};
    Log log_{"test"};
    MemoryStore store_;
    std::optional<controlplane::ControlPlane> plane_;
    UnixMs last_start_ = 0;
    std::shared_ptr<controlplane::FakeStream> stream_;  // of dp-1; null: it has not come
    controlplane::Publisher::Registry::Id stream_id_ = 0;
};

}  // namespace balancer::test
