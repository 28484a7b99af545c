#include "dataplane/succession.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>

extern char** environ;

namespace balancer::dataplane {

namespace net = boost::asio;

namespace {

// `1:COUNT`: descriptor 3 is where to say that it is ready, 4 the management listener, and COUNT clients' listeners follow.
// Programs of different releases agree on this: another layout gets another number in front.
constexpr const char* kVariable = "BALANCER_HANDOVER";
constexpr std::string_view kLayout = "1:";
constexpr int kNews = 3;
constexpr int kAdmin = 4;
constexpr int kClients = 5;
constexpr std::size_t kClientsMax = 1024;

Error system_error(const char* what) {
    ErrorCode code(errno, boost::system::system_category());
    return Error{code, fmt::format("{}: {}", what, code.message())};
}

bool is_listener(int fd) {
    int listens = 0;
    socklen_t size = sizeof listens;
    return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens == 1;
}

// A shell's way from a name to a program.
std::string path_of(const std::string& program) {
    if (program.find('/') != program.npos) return program;
    const char* path = std::getenv("PATH");
    std::string_view left = path == nullptr ? "/usr/bin:/bin" : path;
    while (!left.empty()) {
        std::size_t colon = left.find(':');
        std::string candidate = std::string(left.substr(0, colon)) + "/" + program;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
        left.remove_prefix(colon == left.npos ? left.size() : colon + 1);
    }
    return program;
}

// In the child, between fork and exec: nothing but system calls. `from` are above every place that they go to.
[[noreturn]] void become(const char* program, char** argv, char** envp, const int* from, int count) {
    for (int i = 0; i < count; ++i) ::dup2(from[i], kNews + i);
    // Clients' connections are not ours: they must end where the old process ends them.
    ::syscall(SYS_close_range, static_cast<unsigned>(kNews + count), ~0U, 0U);
    ::execve(program, argv, envp);
    ::_exit(127);
}

}  // namespace

Result<std::unique_ptr<Successor>> Successor::start(
    net::io_context& context, const std::vector<std::string>& command, const Listeners& listeners
) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("pipe");
    UniqueFd news(ends[0]);
    UniqueFd news_end(ends[1]);
    std::vector<int> handed = {news_end.get(), listeners.admin.get()};
    for (const UniqueFd& client : listeners.clients) handed.push_back(client.get());
    const int count = static_cast<int>(handed.size());
    std::vector<UniqueFd> copies;
    for (int& fd : handed) {
        UniqueFd& copy = copies.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, kNews + count));
        if (!copy) return system_error("dup");
        fd = copy.get();
    }
    const std::string program = path_of(command.front());
    std::vector<char*> argv;
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    std::string told = fmt::format("{}={}{}", kVariable, kLayout, listeners.clients.size());
    std::vector<char*> envp = {told.data()};
    for (char** variable = environ; *variable != nullptr; ++variable) envp.push_back(*variable);
    envp.push_back(nullptr);

    int process = -1;
    long pid = ::syscall(SYS_clone, CLONE_PARENT | CLONE_PIDFD | SIGCHLD, nullptr, &process, nullptr, nullptr);
    if (pid == 0) become(program.c_str(), argv.data(), envp.data(), handed.data(), count);
    if (pid < 0) {
        return errno == EINVAL ? invalid("the first process of a container cannot be followed by another: start another container")
                               : system_error("clone");
    }
    return std::unique_ptr<Successor>(
        new Successor(context, static_cast<pid_t>(pid), UniqueFd(process), std::move(news))
    );
}

Successor::Successor(net::io_context& context, pid_t pid, UniqueFd process, UniqueFd news)
    : pid_(pid), process_(std::move(process)), news_(context, news.release()), patience_(context) {}

Successor::~Successor() {
    if (process_) ::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0);
}

void Successor::wait(Milliseconds patience, std::function<void(Result<pid_t>)> done) {
    done_ = std::move(done);
    news_.async_read_some(net::buffer(&byte_, 1), [this](const ErrorCode& ec, std::size_t) {
        if (ec == net::error::operation_aborted) return;
        if (ec) return end(invalid("it ended before it served; its log says why"));
        process_.reset();
        end(pid_);
    });
    patience_.expires_after(patience);
    patience_.async_wait([this, patience](const ErrorCode& ec) {
        if (!ec) end(invalid(fmt::format("it does not serve after {} s", patience.count() / 1000)));
    });
}

// `done` may end this object.
void Successor::end(Result<pid_t> how) {
    patience_.cancel();
    news_.close();
    std::function<void(Result<pid_t>)> done = std::exchange(done_, nullptr);
    if (done) done(std::move(how));
}

Result<std::optional<Predecessor>> Predecessor::from_environment() {
    const char* value = std::getenv(kVariable);
    if (value == nullptr) return std::optional<Predecessor>();
    std::string_view told = value;
    std::size_t count = 0;
    bool known = told.starts_with(kLayout);
    if (known) {
        told.remove_prefix(kLayout.size());
        auto [end, problem] = std::from_chars(told.data(), told.data() + told.size(), count);
        known = problem == std::errc() && end == told.data() + told.size() && count <= kClientsMax;
    }
    Predecessor predecessor;
    if (known) {
        predecessor.news_ = UniqueFd(kNews);
        predecessor.listeners.admin = UniqueFd(kAdmin);
        for (std::size_t i = 0; i < count; ++i) {
            predecessor.listeners.clients.emplace_back(kClients + static_cast<int>(i));
            known = known && is_listener(kClients + static_cast<int>(i));
        }
        known = known && is_listener(kAdmin);
        for (int fd = kNews; fd < kClients + static_cast<int>(count); ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    if (!known) {
        return invalid(fmt::format("{} is not what a data plane of this release leaves to its successor", kVariable));
    }
    ::unsetenv(kVariable);
    return std::optional<Predecessor>(std::move(predecessor));
}

void Predecessor::release() {
    const char ready = '1';
    if (news_) [[maybe_unused]] ssize_t told = ::write(news_.get(), &ready, 1);
    news_.reset();
}

}  // namespace balancer::dataplane
