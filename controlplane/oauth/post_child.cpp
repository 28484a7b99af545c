#include "controlplane/oauth/post_child.hpp"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "base/net.hpp"
#include "controlplane/oauth/post_folder.hpp"
#include "controlplane/oauth/post_order.hpp"

namespace balancer::controlplane {
namespace {

bool write_out(std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

// To the end; cut at the bound, which makes it no order.
std::string read_in() {
    std::string bytes(kPostOrderBytesMax, '\0');
    std::size_t size = 0;
    while (size < bytes.size()) {
        ssize_t n = ::read(STDIN_FILENO, bytes.data() + size, bytes.size() - size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        size += static_cast<std::size_t>(n);
    }
    bytes.resize(size);
    return bytes;
}

net::awaitable<void> post(HttpRequest request, PostAnswer& answer) {
    answer.response = co_await fetch(std::move(request), &answer.sent);
}

}  // namespace

void run_post_child() {
    for (int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE}) std::signal(number, SIG_IGN);
    // std::_Exit: a lookup that the system is still at would hold up an orderly end.
    if (!write_out({&kPostReady, 1})) std::_Exit(1);
    std::string bytes = read_in();
    Result<PostOrder> order = read_post_order(bytes);
    wipe(bytes);
    // A control plane that was killed half way through it; or one that may not know afterwards that it was posted.
    if (!order || !PostFolder::mark_posted(kPostLockFd)) std::_Exit(1);
    PostAnswer answer;
    answer.response = invalid("it was not posted");
    net::io_context context(1);
    net::co_spawn(context, post(std::move(order->request), answer), net::detached);
    context.run();
    std::string sealed = seal_answer(*order, answer);
    bool kept = PostFolder::keep_answer(order->folder, order->attempt, sealed).has_value() || write_out(sealed);
    std::_Exit(kept ? 0 : 1);
}

}  // namespace balancer::controlplane
