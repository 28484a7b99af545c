// balancer-controlplane: flags, start, wait, stop.
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/descriptors.hpp"
#include "base/process_shield.hpp"
#include "controlplane/flags.hpp"
#include "controlplane/oauth/post_child.hpp"
#include "controlplane/server.hpp"

namespace {

// The first process of a container takes all others with it when it ends, those that post included.
void outlive_children() {
    if (::getpid() != 1) return;
    while (::wait(nullptr) > 0 || errno == EINTR) {
    }
}

}  // namespace

int main(int argc, char** argv) {
    using namespace balancer;
    if (argc > 1 && std::string_view(argv[1]) == controlplane::kPostRefreshFlag) {
        if (argc == 2) shield_process();
        controlplane::run_post_child();
    }
    // gRPC's own lines on stderr say in its words what we say in ours. GRPC_VERBOSITY=ERROR brings
    // them back.
    ::setenv("GRPC_VERBOSITY", "NONE", 0);
    controlplane::ServerOptions options;
    if (std::optional<int> ended = controlplane::parse_flags(argc, argv, options)) return *ended;

    const bool shielded = options.debuggable || shield_process();
    std::signal(SIGPIPE, SIG_IGN);  // whoever read our stderr may be gone
    raise_descriptor_limit();
    Log log("balancer-controlplane");
    if (!shielded) {
        log.emit(
            LogLevel::kWarning,
            LogEvent::kNotice,
            "the system did not let this process be kept out of core files and debuggers: its secrets may get there"
        );
    }
    options.post_program = {"/proc/self/exe", {controlplane::kPostRefreshFlag}};
    if (options.debuggable) options.post_program.arguments.push_back("--debuggable");
    controlplane::Server server(log, std::move(options));
    auto started = server.start();
    if (const auto* failure = std::get_if<controlplane::StartFailure>(&started)) {
        std::fprintf(stderr, "balancer-controlplane: %s\n", failure->text.c_str());
        return failure->exit_code;
    }
    server.wait_for_signal();
    server.stop();
    outlive_children();
    return 0;
}
