// A control plane's sync side and data planes' control sides, whole, in this process, over loopback
// gRPC.
#pragma once

#include <grpcpp/create_channel.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/health/merger.hpp"
#include "controlplane/publish/publisher.hpp"
#include "controlplane/service/data_plane_service.hpp"
#include "controlplane/service/server_options.hpp"
#include "dataplane/control/control.hpp"
#include "samples.hpp"

namespace balancer::samples {

inline constexpr const char* kToken = "token-of-the-data-planes";
inline constexpr std::chrono::seconds kPatience{5};

// Looks until `holds` does, at most kPatience.
template <class Holds>
bool eventually(Holds holds) {
    SteadyTime limit = steady_now() + kPatience;
    while (!holds()) {
        if (steady_now() > limit) return false;
        std::this_thread::sleep_for(Milliseconds(2));
    }
    return true;
}

// Publisher, merger and service joined as the program joins them.
class ControlPlane {
  public:
    explicit ControlPlane(
        std::uint64_t epoch = 1, int port = 0, controlplane::PublisherTimes times = brisk()
    )
        : log_("controlplane"),
          merger_(epoch, [] { return 0.0; }),
          publisher_(loop_, log_, version(epoch, 0), "cp", times),
          service_(
              loop_,
              log_,
              publisher_,
              [this](const std::string& dp_id, const std::string& instance, const auto& report) {
                  take(dp_id, instance, report);
              },
              [](const v1::ManageRequest& request, auto answer) {
                  v1::ManageResponse response;
                  response.set_status(200);
                  response.set_content_type("text/plain");
                  response.set_body(request.method() + " " + request.path());
                  answer(std::move(response));
              },
              kToken
          ) {
        log_.set_level(LogLevel::kError);
        grpc::ServerBuilder builder;
        controlplane::set_server_options(builder);
        std::string address = "127.0.0.1:" + std::to_string(port);
        builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
        builder.RegisterService(&service_);
        server_ = builder.BuildAndStart();
        thread_ = std::thread([this] { loop_.run(); });
    }

    ~ControlPlane() { stop(); }

    void stop() {
        if (!thread_.joinable()) return;
        service_.shutdown();
        server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
        server_.reset();
        work_.reset();
        thread_.join();
    }

    // Reports come every 100 ms.
    static controlplane::PublisherTimes brisk() {
        controlplane::PublisherTimes times;
        times.report_interval = Milliseconds(100);
        return times;
    }

    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    int port() const { return port_; }

    // Runs `job` on the loop and gives back what it returns.
    template <class Job>
    auto on_loop(Job job) {
        std::packaged_task<decltype(job())()> task(std::move(job));
        auto result = task.get_future();
        boost::asio::post(loop_, std::move(task));
        return result.get();
    }

    void publish(const std::vector<std::string>& providers) { publish(config(providers)); }

    void publish(const v1::ConfigSection& section, bool may_be_empty = false) {
        on_loop([&] {
            merger_.configure(section, unix_now());
            publisher_.publish_config(section, {}, "test", {1, may_be_empty});
            publisher_.publish_health(merger_.section(), "test");
        });
    }

    void reset(const std::string& provider) {
        on_loop([&] {
            merger_.reset(provider, unix_now());
            publisher_.publish_health(merger_.section(), "reset");
        });
    }

    void set_standing(const std::string& dp_id, controlplane::Standing standing) {
        on_loop([&] { publisher_.set_standings({{dp_id, standing}}); });
    }

    std::vector<v1::DataPlaneView> rows() {
        return on_loop([&] { return publisher_.data_planes(); });
    }

    bool in_sync(std::size_t count) {
        std::size_t good = 0;
        for (const v1::DataPlaneView& row : rows()) {
            good += row.in_sync() && row.behind_since_ms() == 0 ? 1 : 0;
        }
        return good == count;
    }

    v1::ProviderHealth health(int index) {
        return on_loop([&] { return merger_.section().providers(index); });
    }

    std::uint64_t attempts(const std::string& provider) {
        return on_loop([&] { return merger_.totals(provider).attempts(); });
    }

    std::size_t signals_taken() {
        return on_loop([&] { return signals_taken_; });
    }

  private:
    void take(
        const std::string& dp_id, const std::string& instance, const v1::ReportRequest& report
    ) {
        bool changed = merger_.set_members(publisher_.members());
        for (const v1::Signal& signal : report.signals()) {
            ++signals_taken_;
            changed = merger_.signal(dp_id, signal, unix_now()) || changed;
        }
        merger_.counters(dp_id, instance, report.counters(), unix_now());
        if (changed) publisher_.publish_health(merger_.section(), "report");
    }

    boost::asio::io_context loop_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
        loop_.get_executor()
    };
    Log log_;
    controlplane::Merger merger_;
    controlplane::Publisher publisher_;
    controlplane::DataPlaneService service_;
    std::size_t signals_taken_ = 0;
    std::unique_ptr<grpc::Server> server_;
    int port_ = 0;
    std::thread thread_;
};

// A Control whose callbacks only remember.
class DataPlane {
  public:
    // With `log_file` its warnings go there, and to stderr; without, only errors are said.
    DataPlane(
        const std::string& id,
        const std::string& address,
        std::string token = kToken,
        const std::string& log_file = {}
    )
        : log_(id), control_({{address}, std::move(token), {}, id}, callbacks(), log_) {
        log_.set_level(log_file.empty() ? LogLevel::kError : LogLevel::kWarning);
        if (!log_file.empty()) log_.set_file(log_file).value();
        control_.start();
    }

    dataplane::Control& control() { return control_; }

    bool wait_for_snapshot(std::function<bool(const Snapshot&)> good) {
        std::unique_lock lock(mutex_);
        return news_.wait_for(lock, kPatience, [&] { return snapshot_ && good(*snapshot_); });
    }

    bool wait_for_provider(const std::string& name) {
        return wait_for_snapshot([&](const Snapshot& snapshot) {
            return snapshot.find_provider(name) != nullptr;
        });
    }

    // Waits until `good` holds for the condition of this provider.
    bool wait_for_condition(
        const std::string& provider, std::function<bool(const ProviderCondition&)> good
    ) {
        std::unique_lock lock(mutex_);
        return news_.wait_for(lock, kPatience, [&] {
            const Provider* found = snapshot_ ? snapshot_->find_provider(provider) : nullptr;
            const ProviderCondition* condition =
                found != nullptr && view_ ? view_->find(found->slot) : nullptr;
            return condition != nullptr && good(*condition);
        });
    }

    bool wait_until_benched(const std::string& provider) {
        return wait_for_condition(provider, [](const ProviderCondition& condition) {
            return condition.benched;
        });
    }

    std::shared_ptr<const Snapshot> snapshot() {
        std::lock_guard lock(mutex_);
        return snapshot_;
    }

    int snapshots() {
        std::lock_guard lock(mutex_);
        return snapshots_;
    }

  private:
    dataplane::ControlCallbacks callbacks() {
        dataplane::ControlCallbacks out;
        out.on_snapshot = [this](std::shared_ptr<const Snapshot> snapshot) {
            std::lock_guard lock(mutex_);
            snapshot_ = std::move(snapshot);
            ++snapshots_;
            news_.notify_all();
        };
        out.on_health = [this](std::shared_ptr<const HealthView> view) {
            std::lock_guard lock(mutex_);
            view_ = std::move(view);
            news_.notify_all();
        };
        out.collect_totals = [] {
            dataplane::ProviderTotals totals;
            totals.provider = "a";
            totals.attempts = 21;
            return std::vector{totals};
        };
        out.in_flight = [] { return 7U; };
        out.ready = [] { return true; };
        return out;
    }

    Log log_;
    std::mutex mutex_;
    std::condition_variable news_;
    std::shared_ptr<const Snapshot> snapshot_;
    std::shared_ptr<const HealthView> view_;
    int snapshots_ = 0;
    dataplane::Control control_;  // last: its callbacks use the others
};

}  // namespace balancer::samples
