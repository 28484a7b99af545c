// A fleet of real programs, which can be killed, and whose clocks and disks can be set and filled. Fleet is quicker, and enough where neither
// is needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/scenario/fleet.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/faulty_host.hpp"

namespace balancer::tests {

// On free ports of 127.0.0.1; its folder goes with it. Not thread-safe. Its data planes end at once when they are told to, unless
// their options say otherwise.
class ProcessFleet {
  public:
    ProcessFleet(
        const std::string& yaml, std::size_t data_planes, std::vector<std::string> data_plane_options = {"--drain-grace=0"}
    );
    ~ProcessFleet();
    ProcessFleet(const ProcessFleet&) = delete;
    ProcessFleet& operator=(const ProcessFleet&) = delete;

    // SIGKILL. A start waits until it is up, on the gRPC port that it had before.
    void kill_control_plane() { control_plane_.reset(); }
    void start_control_plane();
    // SIGTERM; returns when it has ended.
    void stop_control_plane();
    pid_t control_plane_pid() const { return control_plane_->pid(); }

    void kill_data_plane(std::size_t index) { data_planes_.at(index).process.reset(); }
    void signal_data_plane(std::size_t index, int number) { data_planes_.at(index).process->signal(number); }
    // SIGTERM; returns when it has ended.
    void stop_data_plane(std::size_t index);
    // Waits until it listens; it may have nothing to serve yet.
    void start_data_plane(std::size_t index);
    std::size_t add_data_plane();

    // Data planes are started by a link of this name in folder(), as an operator's path is where another release is put.
    static constexpr const char* kProgramLink = "balancer-dataplane";
    ChildProcess& data_plane_process(std::size_t index) { return *data_planes_.at(index).process; }
    // SIGUSR2; returns the process that was followed, when another serves on its ports. That one is data plane `index` from then
    // on. The log's level must be INFO: there it stands that it has.
    std::unique_ptr<ChildProcess> upgrade_data_plane(std::size_t index);
    std::size_t data_planes() const { return data_planes_.size(); }
    std::uint16_t port(std::size_t index) const { return data_planes_.at(index).port; }

    FaultyHost& control_plane_host() { return host_; }
    FaultyHost& data_plane_host(std::size_t index) { return *data_planes_.at(index).host; }

    std::uint16_t admin_port(std::size_t index) const { return data_planes_.at(index).admin_port; }
    std::uint16_t control_plane_http_port() const { return control_plane_http_port_; }

    bool ready(std::size_t index) const;
    std::string metrics(std::size_t index) const;
    RawResponse ask(const ClaudeCodeRequest& request, std::size_t index) const;
    void write_config(const std::string& yaml) const;

    // balancerctl's exit code; `said` is what it printed.
    int ctl(std::vector<std::string> words, std::string& said) const;

    // Every data plane has acknowledged the newest version.
    bool in_sync() const;

    const std::filesystem::path& folder() const { return folder_; }

  private:
    struct DataPlane {
        std::unique_ptr<ChildProcess> process;
        std::unique_ptr<FaultyHost> host;
        std::uint16_t port = 0;
        std::uint16_t admin_port = 0;
    };

    std::filesystem::path folder_;
    std::vector<std::string> data_plane_options_;
    FaultyHost host_;
    std::string grpc_ = "127.0.0.1:0";
    std::uint16_t control_plane_http_port_ = 0;
    std::unique_ptr<ChildProcess> control_plane_;
    std::vector<DataPlane> data_planes_;
};

}  // namespace balancer::tests
