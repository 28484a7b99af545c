#include "tests/scenario/fleet.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>

#include "base/file.hpp"

namespace balancer::tests {
namespace {

std::uint16_t port_of(const std::string& address) {
    return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

std::filesystem::path make_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "balancer-fleet-XXXXXX").string();
    return ::mkdtemp(pattern.data());
}

}  // namespace

std::string to_yaml(const ConfigText& config) {
    std::string yaml = "providers:\n";
    std::string all;
    int priority = 0;
    for (const ProviderText& provider : config.providers) {
        yaml += fmt::format(
            "  - name: {}\n    type: {}\n    base_url: {}\n{}{}",
            provider.name,
            provider.type,
            provider.base_url,
            provider.auth,
            provider.extra
        );
        all += fmt::format(
            "    - {{provider: {}, model: passthrough, priority: {}}}\n", provider.name, ++priority
        );
    }
    yaml += "model_routes:\n" + (config.routes.empty() ? "  \"*\":\n" + all : config.routes);
    yaml += "settings:\n  log_file_path: log.jsonl\n  log_level: " + config.log_level + "\n" + config.settings;
    // Most scenarios send one request again and again.
    if (config.settings.find("deduplication:") == std::string::npos) {
        yaml += "  deduplication: {sse_error_cleanup_delay: 0}\n";
    }
    return yaml;
}

struct Fleet::DataPlane {
    std::unique_ptr<dataplane::Server> server;
    std::thread thread;
    std::uint16_t port = 0;
    std::uint16_t admin_port = 0;

    void stop(Milliseconds grace) {
        if (!server) return;
        server->stop(grace);
        server->context().stop();
        thread.join();
        server.reset();
    }
};

Fleet::Fleet(const std::string& yaml, FleetOptions options)
    : options_(options), folder_(make_folder()), log_("fleet"), control_plane_log_("controlplane") {
    log_.set_level(LogLevel::kError);
    control_plane_log_.set_level(LogLevel::kError);
    write_config(yaml);
    start_control_plane();
    for (unsigned i = 0; i < options_.data_planes; ++i) {
        add_data_plane();
        if (!eventually([&] { return get_at(admin_port(i), "/readyz").status == 200; })) {
            throw std::runtime_error("data plane: never ready");
        }
    }
}

Fleet::~Fleet() {
    for (auto& data_plane : data_planes_) data_plane->stop(Milliseconds(500));
    stop_control_plane();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

void Fleet::start_control_plane() {
    controlplane::ServerOptions options;
    options.config_file = folder_ / "config.yaml";
    options.state_dir = control_plane_dir();
    options.grpc_address = addresses_.grpc;
    options.http_address = "127.0.0.1:0";
    std::string failed;
    // The data planes look for a restarted one on its old gRPC port, which a connection of another test may have got as
    // its own by now.
    bool up = eventually([&] {
        control_plane_ = std::make_unique<controlplane::Server>(control_plane_log_, options);
        auto started = control_plane_->start();
        if (const auto* failure = std::get_if<controlplane::StartFailure>(&started)) {
            failed = failure->text;
            control_plane_.reset();
            return failed.find("cannot listen") == std::string::npos;
        }
        addresses_ = std::get<controlplane::Addresses>(started);
        return true;
    });
    if (!up || !control_plane_) throw std::runtime_error("control plane: " + failed);
}

void Fleet::stop_control_plane() {
    if (!control_plane_) return;
    control_plane_->stop();
    control_plane_.reset();
}

void Fleet::start_data_plane(std::size_t index) {
    DataPlane& plane = *data_planes_[index];
    dataplane::ServerOptions options;
    options.control.addresses = {addresses_.grpc};
    options.control.token = data_plane_token();
    options.control.id = fmt::format("dp{}", index + 1);
    options.control.state_dir = state_dir(index);
    options.listen = "127.0.0.1:0";
    options.admin = "127.0.0.1:0";
    options.workers = options_.workers;
    std::filesystem::create_directories(options.control.state_dir);
    plane.server = std::make_unique<dataplane::Server>(std::move(options), log_);
    Result<void> started = plane.server->start();
    if (!started) throw std::runtime_error("data plane: " + started.error().text());
    plane.thread = std::thread([server = plane.server.get()] {
        auto work = boost::asio::make_work_guard(server->context());
        server->context().run();
    });
    auto json = nlohmann::json::parse(*read_file(state_dir(index) / "addresses.json"));
    plane.port = port_of(json["listen"].get<std::string>());
    plane.admin_port = port_of(json["admin"].get<std::string>());
}

void Fleet::stop_data_plane(std::size_t index, Milliseconds grace) {
    data_planes_[index]->stop(grace);
}

void Fleet::restart_data_plane(std::size_t index) {
    stop_data_plane(index);
    start_data_plane(index);
}

std::size_t Fleet::add_data_plane() {
    data_planes_.push_back(std::make_unique<DataPlane>());
    start_data_plane(data_planes_.size() - 1);
    return data_planes_.size() - 1;
}

std::uint16_t Fleet::port(std::size_t index) const { return data_planes_[index]->port; }

std::uint16_t Fleet::admin_port(std::size_t index) const { return data_planes_[index]->admin_port; }

std::uint16_t Fleet::control_plane_http_port() const { return port_of(addresses_.http); }

std::filesystem::path Fleet::log_file(std::size_t index) const {
    return state_dir(index) / "log.jsonl";
}

std::filesystem::path Fleet::state_dir(std::size_t index) const {
    return folder_ / fmt::format("dp{}", index + 1);
}

std::string Fleet::data_plane_token() const {
    return *read_secret_file(control_plane_dir() / "dataplane.token");
}

std::string Fleet::admin_token() const {
    return *read_secret_file(control_plane_dir() / "admin.token");
}

RawResponse Fleet::ask(const ClaudeCodeRequest& request, std::size_t index) const {
    Result<RawClient> client = RawClient::connect(port(index));
    if (!client) {
        ADD_FAILURE() << "cannot connect: " << client.error().text();
        return {};
    }
    Result<RawResponse> response =
        client->exchange(claude_code_request(request), std::chrono::seconds(30));
    if (!response) {
        ADD_FAILURE() << "no answer: " << response.error().text();
        return {};
    }
    return *response;
}

RawResponse Fleet::get(const std::string& path, std::size_t index) const {
    return get_at(port(index), path);
}

RawResponse Fleet::get_at(std::uint16_t port, const std::string& path) const {
    Result<RawClient> client = RawClient::connect(port);
    if (!client) return {};
    Result<RawResponse> response = client->exchange(
        fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path)
    );
    return response ? *response : RawResponse{};
}

void Fleet::write_config(const std::string& yaml) {
    Result<void> written = write_file_atomically(folder_ / "config.yaml", yaml, 0600);
    if (!written) throw std::runtime_error(written.error().text());
}

bool Fleet::eventually(const std::function<bool()>& met) {
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!met()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
}

ClaudeCodeRequest streamed(std::string prompt) {
    ClaudeCodeRequest request;
    request.prompt = std::move(prompt);
    return request;
}

ClaudeCodeRequest unstreamed(std::string prompt) {
    ClaudeCodeRequest request = streamed(std::move(prompt));
    request.stream = false;
    return request;
}

std::string event_names(const std::string& body) {
    std::string names;
    for (const SseEvent& event : split_events(body)) {
        if (!names.empty()) names += ' ';
        names += event.name;
    }
    return names;
}

}  // namespace balancer::tests
