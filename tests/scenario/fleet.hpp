// A whole fleet in one process: the control plane and data planes as their programs run them, on real sockets, with real
// fake providers behind them.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/log.hpp"
#include "controlplane/server.hpp"
#include "dataplane/server.hpp"
#include "tests/support/claude_code_request.hpp"
#include "tests/support/fake_provider.hpp"
#include "tests/support/raw_client.hpp"

namespace balancer::tests {

// A provider in the configuration text.
struct ProviderText {
    std::string name;
    std::string base_url;
    std::string extra = {};  // further YAML lines of the provider, each indented by four spaces and ended
    std::string auth = "    auth_type: api_key\n    auth_value: sk-test-key-of-provider\n";
    std::string type = "anthropic";
};

struct ConfigText {
    std::vector<ProviderText> providers;
    std::string routes = {};    // YAML under model_routes; empty: "*" to all, priorities in order
    std::string settings = {};  // YAML lines under settings, each indented by two spaces and ended
    std::string log_level = "WARNING";
};
std::string to_yaml(const ConfigText& config);

struct FleetOptions {
    unsigned data_planes = 1;
    unsigned workers = 2;
};

// Everything listens on 127.0.0.1 with free ports, and keeps its files in a folder of its own that is removed at the end.
// Not thread-safe.
class Fleet {
  public:
    explicit Fleet(const std::string& yaml, FleetOptions options = {});
    ~Fleet();
    Fleet(const Fleet&) = delete;
    Fleet& operator=(const Fleet&) = delete;

    // Of the data plane `index`'s client and management listeners.
    std::uint16_t port(std::size_t index = 0) const;
    std::uint16_t admin_port(std::size_t index = 0) const;
    std::uint16_t control_plane_http_port() const;

    // One request on a new connection; fails the test (and returns an empty response) when there is no answer.
    RawResponse ask(const ClaudeCodeRequest& request = {}, std::size_t index = 0) const;
    RawResponse get(const std::string& path, std::size_t index = 0) const;
    RawResponse get_at(std::uint16_t port, const std::string& path) const;

    // Replaces the configuration file (as editors do: new file, rename). Does not wait.
    void write_config(const std::string& yaml);

    void stop_control_plane();
    void start_control_plane();
    // SIGTERM's way: returns when its streams have ended, or `grace` is over.
    void stop_data_plane(std::size_t index, Milliseconds grace = Milliseconds(500));
    // Stops it and starts it again on its folder, on other ports; does not wait until it is ready.
    void restart_data_plane(std::size_t index);
    // One more, whether or not there is a control plane; does not wait until it is ready. Its index.
    std::size_t add_data_plane();

    // Waits until `met` holds (10 s at most); false when it never did.
    static bool eventually(const std::function<bool()>& met);

    const std::filesystem::path& folder() const { return folder_; }
    std::filesystem::path log_file(std::size_t index = 0) const;
    std::filesystem::path state_dir(std::size_t index = 0) const;
    std::filesystem::path control_plane_dir() const { return folder_ / "control-plane"; }
    // Of the control plane: data planes' and balancerctl's.
    std::string data_plane_token() const;
    std::string admin_token() const;
    controlplane::Addresses control_plane_addresses() const { return addresses_; }

  private:
    struct DataPlane;
    void start_data_plane(std::size_t index);

    FleetOptions options_;
    std::filesystem::path folder_;
    Log log_;  // of the data planes
    Log control_plane_log_;
    controlplane::Addresses addresses_{"127.0.0.1:0", "127.0.0.1:0"};
    std::unique_ptr<controlplane::Server> control_plane_;
    std::vector<std::unique_ptr<DataPlane>> data_planes_;
};

// Claude-Code-shaped, streamed or not.
ClaudeCodeRequest streamed(std::string prompt = "Say hello.");
ClaudeCodeRequest unstreamed(std::string prompt = "Say hello.");

// The names of the events in a body, joined by blanks.
std::string event_names(const std::string& body);

}  // namespace balancer::tests
