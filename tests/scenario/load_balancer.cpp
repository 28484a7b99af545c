#include "tests/scenario/load_balancer.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "base/file.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/support/tool.hpp"

namespace balancer::tests {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& file, const std::string& text) {
    Result<void> written = write_file_atomically(file, text, 0600);
    if (!written) throw std::runtime_error(written.error().text());
}

}  // namespace

LoadBalancer::LoadBalancer(Product product, const ProcessFleet& fleet, const std::string& trusted_peer)
    : folder_(fleet.folder() / "load-balancer") {
    fs::create_directories(folder_);
    Identity identity = ca_.issue();
    write(folder_ / "chain.pem", identity.certificate_pem);
    write(folder_ / "key.pem", identity.key_pem);
    write(folder_ / "chain-and-key.pem", identity.certificate_pem + identity.key_pem);
    write(folder_ / "ca.pem", ca_.certificate_pem());
    start("balancer", port_, balancer_, [&] {
        return product == Product::kHaproxy ? haproxy(fleet, trusted_peer) : nginx(fleet, trusted_peer);
    });
    start("tunnel", tunnel_port_, tunnel_, [&] { return tunnel(); });
}

LoadBalancer::~LoadBalancer() = default;

// `arguments` writes the configuration for `port` and says how to start.
void LoadBalancer::start(
    const std::string& name, std::uint16_t& port, std::unique_ptr<ChildProcess>& process, auto arguments
) {
    fs::path log = folder_ / (name + ".output");
    bool up = Fleet::eventually([&] {
        port = free_port();
        Parts parts = arguments();
        process = std::make_unique<ChildProcess>(
            parts.front(), Parts(parts.begin() + 1, parts.end()), log
        );
        return Fleet::eventually([&] { return RawClient::connect(port) || !process->running(); }) && process->running();
    });
    if (up) return;
    Result<std::string> said = read_file(log);
    throw std::runtime_error(name + " does not start: " + (said ? *said : said.error().text()));
}

LoadBalancer::Parts LoadBalancer::haproxy(const ProcessFleet& fleet, const std::string& trusted_peer) {
    status_port_ = free_port();
    std::string text = shipped_file("deploy/haproxy/haproxy.cfg");
    text = replaced_once(text, "    user haproxy\n    group haproxy\n    chroot /var/lib/haproxy\n", "");
    // Descriptors for so many are not given to everybody.
    text = replaced_once(text, "maxconn 10000", "maxconn 500");
    text = replaced_once(
        text,
        "bind :443 ssl crt /etc/haproxy/certs/",
        fmt::format("bind 127.0.0.1:{} ssl crt {}", port_, (folder_ / "chain-and-key.pem").string())
    );
    text = replaced_once(text, "acl trusted_peer src 192.0.2.1", "acl trusted_peer src " + trusted_peer);
    text = replaced_once(text, "bind 127.0.0.1:8404", fmt::format("bind 127.0.0.1:{}", status_port_));
    for (std::size_t i = 0; i < 2; ++i) {
        text = replaced_once(
            text,
            fmt::format("server dp{} 10.0.0.1{}:9090", i + 1, i + 1),
            fmt::format("server dp{} 127.0.0.1:{} port {}", i + 1, fleet.port(i), fleet.admin_port(i))
        );
    }
    write(folder_ / "haproxy.cfg", text);
    return {find_tool("haproxy"), "-db", "-f", folder_ / "haproxy.cfg"};
}

LoadBalancer::Parts LoadBalancer::nginx(const ProcessFleet& fleet, const std::string& trusted_peer) {
    std::string text = shipped_file("deploy/nginx/balancer.conf");
    text = replaced_once(text, "listen 443 ssl http2", fmt::format("listen 127.0.0.1:{} ssl http2", port_));
    text = replaced_once(text, "/etc/nginx/certs/balancer.pem", (folder_ / "chain.pem").string());
    text = replaced_once(text, "/etc/nginx/certs/balancer.key", (folder_ / "key.pem").string());
    text = replaced_once(text, "192.0.2.1 1;", trusted_peer + " 1;");
    for (std::size_t i = 0; i < 2; ++i) {
        text = replaced_once(
            text, fmt::format("server 10.0.0.1{}:9090", i + 1), fmt::format("server 127.0.0.1:{}", fleet.port(i))
        );
    }
    write(folder_ / "balancer.conf", text);
    // What Debian's nginx.conf is around a file of conf.d. One process, so that nothing outlives the test.
    std::string around = fmt::format(
        "daemon off; master_process off; pid {}/nginx.pid; error_log stderr;\nevents {{}}\nhttp {{\n  access_log off;\n",
        folder_.string()
    );
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
        around += fmt::format("  {}_temp_path {}/{};\n", kind, folder_.string(), kind);
    }
    write(folder_ / "nginx.conf", around + "  include balancer.conf;\n}\n");
    return {find_tool("nginx"), "-p", folder_, "-c", folder_ / "nginx.conf", "-e", "stderr"};
}

LoadBalancer::Parts LoadBalancer::tunnel() {
    write(
        folder_ / "tunnel.cfg",
        fmt::format(
            "defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 2m\n  timeout server 2m\n"
            "listen tunnel\n  bind 127.0.0.1:{}\n"
            "  server edge 127.0.0.1:{} ssl verify required ca-file {} sni str(localhost) verifyhost localhost alpn http/1.1\n",
            tunnel_port_,
            port_,
            (folder_ / "ca.pem").string()
        )
    );
    return {find_tool("haproxy"), "-db", "-f", folder_ / "tunnel.cfg"};
}

bool LoadBalancer::sees_up(std::size_t index) const {
    RawResponse answer =
        exchange_raw(status_port_, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    return answer.body.find(fmt::format(
               "haproxy_server_status{{proxy=\"data_planes\",server=\"dp{}\",state=\"UP\"}} 1\n", index + 1
           )) != std::string::npos;
}

}  // namespace balancer::tests
