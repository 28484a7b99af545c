#include "controlplane/oauth/post_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <memory>
#include <string_view>
#include <vector>

#include "base/net.hpp"
#include "controlplane/oauth/post_child.hpp"

extern char** environ;

namespace balancer::controlplane {
namespace {

// To start, and to keep the answer, on a loaded machine.
constexpr Milliseconds kSpare{30'000};
constexpr std::size_t kAnswerBytesMax = 1 << 20;

// Any other variable may hold a key.
constexpr std::array<std::string_view, 12> kVariables{
    "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF", "OPENSSL_MODULES", "RES_OPTIONS", "LOCALDOMAIN",
    "HOSTALIASES",     "ASAN_OPTIONS",  "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS",
};

std::vector<char*> environment() {
    std::vector<char*> out;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        std::string_view text = *variable;
        std::string_view name = text.substr(0, text.find('='));
        if (std::find(kVariables.begin(), kVariables.end(), name) != kVariables.end()) out.push_back(*variable);
    }
    out.push_back(nullptr);
    return out;
}

struct Pipe {
    OpenFile read;
    OpenFile write;
};

Result<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error{ErrorCode(errno, boost::system::system_category()), {}};
    return Pipe{OpenFile(ends[0]), OpenFile(ends[1])};
}

Result<pid_t> spawn(const PostProgram& program, const Pipe& in, const Pipe& out, const OpenFile& lock) {
    std::vector<char*> argv{const_cast<char*>(program.path.c_str())};
    for (const std::string& argument : program.arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    std::vector<char*> envp = environment();
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in.read.fd(), STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, out.write.fd(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, lock.fd(), kPostLockFd);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, kPostLockFd + 1);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    // A session of its own: who kills our process group does not mean it.
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, static_cast<short>(POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK));
    pid_t pid = -1;
    int failed = ::posix_spawn(&pid, program.path.c_str(), &actions, &attributes, argv.data(), envp.data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) return Error{ErrorCode(failed, boost::system::system_category()), {}};
    return pid;
}

Error not_started(const Error& why) {
    return Error{why.code, "the process that posts it cannot be started: " + why.text()};
}

}  // namespace

net::awaitable<Result<std::string>> run_post_process(PostProgram program, OpenFile lock, PostOrder order) {
    auto executor = co_await net::this_coro::executor;
    Result<Pipe> in = make_pipe();
    if (!in) co_return not_started(in.error());
    Result<Pipe> out = make_pipe();
    if (!out) co_return not_started(out.error());
    Result<pid_t> pid = spawn(program, *in, *out, lock);
    if (!pid) co_return not_started(pid.error());
    lock.close();  // it is that process's alone
    in->read.close();
    out->write.close();
    net::posix::stream_descriptor to_child(executor, in->write.release());
    net::posix::stream_descriptor from_child(executor, out->read.release());

    // One that hangs, say on a dead disk, is killed: its pipe ends with it.
    auto gone = std::make_shared<bool>(false);
    net::steady_timer patience(executor, order.request.timeout + kSpare);
    patience.async_wait([gone, child = *pid](const ErrorCode& ec) {
        if (!ec && !*gone) ::kill(child, SIGKILL);
    });
    char said = 0;
    auto [not_ready, ready] = co_await net::async_read(from_child, net::buffer(&said, 1), kNoThrow);
    bool ordered = !not_ready && said == kPostReady;
    if (ordered) {
        std::string bytes = to_bytes(order);
        co_await net::async_write(to_child, net::buffer(bytes), kNoThrow);
        wipe(bytes);
    }
    to_child.close();
    std::string answer;
    co_await net::async_read(from_child, net::dynamic_buffer(answer, kAnswerBytesMax), kNoThrow);
    *gone = true;
    patience.cancel();
    // Its pipe is closed, so it is ending.
    while (::waitpid(*pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (!ordered) co_return invalid("the process that posts it has ended at its start");
    co_return answer;
}

}  // namespace balancer::controlplane
