#include "tests/support/tool.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <stdexcept>

#include "base/file.hpp"

namespace balancer::tests {

namespace fs = std::filesystem;

fs::path find_tool(std::string_view name) {
    fs::path unpacked = shipped_path("build/tools/usr");
    for (const fs::path& folder : {fs::path("/usr/sbin"), fs::path("/usr/bin"), unpacked / "sbin", unpacked / "bin"}) {
        if (fs::exists(folder / name)) return folder / name;
    }
    throw std::runtime_error(fmt::format(
        "there is no {}: deploy/install-build-deps.sh brings it; BALANCER_SERVICES=off builds without the tests that need it",
        name
    ));
}

std::uint16_t free_port() {
    boost::asio::io_context context;
    boost::asio::ip::tcp::acceptor taken(context, {boost::asio::ip::address_v4::loopback(), 0});
    return taken.local_endpoint().port();
}

std::string replaced_once(std::string text, std::string_view from, std::string_view to) {
    std::size_t at = text.find(from);
    if (at == std::string::npos || text.find(from, at + 1) != std::string::npos) {
        throw std::runtime_error(fmt::format("'{}' is not there exactly once", from));
    }
    return text.replace(at, from.size(), to);
}

fs::path shipped_path(const fs::path& path) {
    return fs::path(BALANCER_SOURCE_DIR) / path;
}

std::string shipped_file(const fs::path& path) {
    Result<std::string> text = read_file(shipped_path(path));
    if (!text) throw std::runtime_error(text.error().text());
    return *text;
}

}  // namespace balancer::tests
