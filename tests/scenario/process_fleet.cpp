#include "tests/scenario/process_fleet.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "base/file.hpp"
#include "tests/scenario/balancerctl.hpp"

namespace balancer::tests {
namespace {

namespace fs = std::filesystem;

fs::path make_folder() {
    std::string pattern = (fs::temp_directory_path() / "balancer-processes-XXXXXX").string();
    return ::mkdtemp(pattern.data());
}

std::uint16_t port_of(const std::string& address) {
    return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

// What a program has bound; null when it has not written that yet.
nlohmann::json addresses_in(const fs::path& folder) {
    Result<std::string> text = read_file(folder / "addresses.json");
    return text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
}

RawResponse get(std::uint16_t port, const std::string& path) {
    Result<RawClient> client = RawClient::connect(port);
    if (!client) return {};
    Result<RawResponse> response = client->exchange(
        fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path)
    );
    return response ? *response : RawResponse{};
}

}  // namespace

ProcessFleet::ProcessFleet(const std::string& yaml, std::size_t data_planes, std::vector<std::string> data_plane_options)
    : folder_(make_folder()), data_plane_options_(std::move(data_plane_options)), host_(folder_ / "control-plane.host") {
    write_config(yaml);
    fs::create_symlink(BALANCER_DATA_PLANE_PROGRAM, folder_ / kProgramLink);
    start_control_plane();
    for (std::size_t i = 0; i < data_planes; ++i) add_data_plane();
    bool up = Fleet::eventually([&] {
        for (std::size_t i = 0; i < data_planes; ++i) {
            if (!ready(i)) return false;
        }
        return in_sync();
    });
    if (!up) throw std::runtime_error("the data planes are not ready; see " + folder_.string());
}

ProcessFleet::~ProcessFleet() {
    data_planes_.clear();
    control_plane_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

void ProcessFleet::write_config(const std::string& yaml) const {
    Result<void> written = write_file_atomically(folder_ / "config.yaml", yaml, 0600);
    if (!written) throw std::runtime_error(written.error().text());
}

void ProcessFleet::start_control_plane() {
    fs::path state = folder_ / "control-plane";
    bool up = Fleet::eventually([&] {
        fs::remove(state / "addresses.json");
        control_plane_ = std::make_unique<ChildProcess>(
            BALANCER_CONTROL_PLANE_PROGRAM,
            std::vector<std::string>{
                "--config",
                (folder_ / "config.yaml").string(),
                "--state-dir",
                state.string(),
                "--grpc",
                grpc_,
                "--http",
                "127.0.0.1:0",
            },
            folder_ / "control-plane.output",
            host_.environment(BALANCER_FAULTY_HOST_LIBRARY)
        );
        // It ends at once when somebody has got its old port meanwhile.
        return Fleet::eventually([&] {
            return !addresses_in(state).is_null() || !control_plane_->running();
        }) && control_plane_->running();
    });
    if (!up) throw std::runtime_error("control plane: never up; see " + folder_.string());
    grpc_ = addresses_in(state)["grpc"].get<std::string>();
    control_plane_http_port_ = port_of(addresses_in(state)["http"].get<std::string>());
}

void ProcessFleet::stop_control_plane() {
    control_plane_->signal(SIGTERM);
    bool ended = Fleet::eventually([&] { return !control_plane_->running(); });
    if (!ended) throw std::runtime_error("the control plane does not stop");
}

std::size_t ProcessFleet::add_data_plane() {
    std::size_t index = data_planes_.size();
    DataPlane& plane = data_planes_.emplace_back();
    fs::create_directories(folder_ / fmt::format("dp{}", index + 1));
    plane.host = std::make_unique<FaultyHost>(folder_ / fmt::format("dp{}.host", index + 1));
    start_data_plane(index);
    return index;
}

void ProcessFleet::start_data_plane(std::size_t index) {
    DataPlane& plane = data_planes_.at(index);
    std::string id = fmt::format("dp{}", index + 1);
    fs::path state = folder_ / id;
    fs::remove(state / "addresses.json");
    std::vector<std::string> arguments{
        "--control-plane",
        grpc_,
        "--token-file",
        (folder_ / "control-plane" / "dataplane.token").string(),
        "--state-dir",
        state.string(),
        "--id",
        id,
        "--workers",
        "1",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    };
    arguments.insert(arguments.end(), data_plane_options_.begin(), data_plane_options_.end());
    plane.process = std::make_unique<ChildProcess>(
        folder_ / kProgramLink,
        arguments,
        folder_ / (id + ".output"),
        plane.host->environment(BALANCER_FAULTY_HOST_LIBRARY)
    );
    bool up = Fleet::eventually([&] { return !addresses_in(state).is_null(); });
    if (!up) throw std::runtime_error(id + ": never up; see " + folder_.string());
    plane.port = port_of(addresses_in(state)["listen"].get<std::string>());
    plane.admin_port = port_of(addresses_in(state)["admin"].get<std::string>());
}

void ProcessFleet::stop_data_plane(std::size_t index) {
    ChildProcess& process = *data_planes_.at(index).process;
    process.signal(SIGTERM);
    if (!Fleet::eventually([&] { return !process.running(); })) throw std::runtime_error("a data plane does not stop");
}

std::unique_ptr<ChildProcess> ProcessFleet::upgrade_data_plane(std::size_t index) {
    DataPlane& plane = data_planes_.at(index);
    const std::vector<pid_t> before = children_of(::getpid());
    plane.process->signal(SIGUSR2);
    // It is our child, as the one before is.
    pid_t successor = -1;
    bool began = Fleet::eventually([&] {
        for (pid_t pid : children_of(::getpid())) {
            if (std::find(before.begin(), before.end(), pid) == before.end()) successor = pid;
        }
        return successor > 0;
    });
    if (!began) throw std::runtime_error("no successor was started; see " + folder_.string());
    auto next = std::make_unique<ChildProcess>(successor);
    const std::string draining = fmt::format("process {} has taken over", successor);
    const fs::path output = folder_ / fmt::format("dp{}.output", index + 1);
    bool followed = Fleet::eventually([&] { return read_file(output)->find(draining) != std::string::npos; });
    if (!followed) throw std::runtime_error("the successor did not take over; see " + folder_.string());
    std::unique_ptr<ChildProcess> older = std::exchange(plane.process, std::move(next));
    return older;
}

bool ProcessFleet::ready(std::size_t index) const {
    return get(data_planes_.at(index).admin_port, "/readyz").status == 200;
}

std::string ProcessFleet::metrics(std::size_t index) const {
    return get(data_planes_.at(index).admin_port, "/metrics").body;
}

RawResponse ProcessFleet::ask(const ClaudeCodeRequest& request, std::size_t index) const {
    Result<RawClient> client = RawClient::connect(data_planes_.at(index).port);
    if (!client) return {};
    Result<RawResponse> response = client->exchange(claude_code_request(request), std::chrono::seconds(30));
    return response ? *response : RawResponse{};
}

int ProcessFleet::ctl(std::vector<std::string> words, std::string& said) const {
    std::ostringstream out;
    int code = balancerctl(grpc_, folder_ / "control-plane", std::move(words), out, out);
    said = out.str();
    return code;
}

bool ProcessFleet::in_sync() const {
    std::string said;
    if (ctl({"-o", "json", "dataplanes", "list"}, said) != 0) return false;
    auto answer = nlohmann::json::parse(said, nullptr, false);
    std::size_t in_sync = 0;
    for (const auto& row : answer["data_planes"]) in_sync += row["in_sync"] == true ? 1 : 0;
    return in_sync == data_planes_.size();
}

}  // namespace balancer::tests
