// What systemd would hear.
#include "base/supervisor.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>

#include "base/unique_fd.hpp"

namespace balancer {
namespace {

class Supervisor : public testing::Test {
  protected:
    Supervisor() {
        std::string pattern = (std::filesystem::temp_directory_path() / "balancer-notify-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
    }
    ~Supervisor() override {
        ::unsetenv("NOTIFY_SOCKET");
        std::filesystem::remove_all(folder_);
    }

    void listen(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        if (path[0] == '@') address.sun_path[0] = '\0';
        socket_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
        auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
        ASSERT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
        ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    }
    std::string heard() const {
        char text[256];
        ssize_t size = ::recv(socket_.get(), text, sizeof text, 0);
        return size < 0 ? "nothing" : std::string(text, static_cast<std::size_t>(size));
    }

    std::filesystem::path folder_;
    UniqueFd socket_;
};

TEST_F(Supervisor, HearsByASocketInAFolder) {
    listen((folder_ / "socket").string());
    tell_supervisor("READY=1\nSTATUS=serving");
    EXPECT_EQ(heard(), "READY=1\nSTATUS=serving");
    EXPECT_EQ(heard(), "nothing");
}

TEST_F(Supervisor, HearsByAnAbstractSocket) {
    listen("@balancer-test-" + std::to_string(::getpid()));
    tell_supervisor("STOPPING=1");
    EXPECT_EQ(heard(), "STOPPING=1");
}

TEST_F(Supervisor, ThatIsNotThereIsNoTrouble) {
    for (const std::string& path : {std::string(), std::string("relative"), std::string("/none/there"), "/" + std::string(200, 'x')}) {
        ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
        tell_supervisor("READY=1");
    }
    ::unsetenv("NOTIFY_SOCKET");
    tell_supervisor("READY=1");
}

}  // namespace
}  // namespace balancer
