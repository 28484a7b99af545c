// fake-idp: the identity provider as a program, for end-to-end tests.
#include <fmt/format.h>
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.hpp"
#include "tests/support/fake_idp.hpp"

namespace balancer::tests {
namespace {

int serve(
    const std::string& listen, const std::string& addresses_file, const std::string& issued_file, const sigset_t& signals
) {
    try {
        FakeIdpOptions options;
        options.address = listen;
        FakeIdp idp(options);
        std::string json = nlohmann::json{{"authorize_url", idp.authorize_url()}, {"token_url", idp.token_url()}}.dump();
        if (Result<void> written = write_file_atomically(addresses_file, json + "\n", 0644); !written) {
            fmt::print(stderr, "fake-idp: {}\n", written.error().text());
            return 1;
        }
        int signal = 0;
        sigwait(&signals, &signal);
        if (issued_file.empty()) return 0;
        json = nlohmann::json{{"access_tokens", idp.access_tokens()}, {"refresh_tokens", idp.refresh_tokens()}}.dump();
        if (Result<void> written = write_file_atomically(issued_file, json + "\n", 0644); !written) {
            fmt::print(stderr, "fake-idp: {}\n", written.error().text());
            return 1;
        }
    } catch (const std::exception& problem) {
        fmt::print(stderr, "fake-idp: cannot serve on {}: {}\n", listen, problem.what());
        return 1;
    }
    return 0;
}

}  // namespace
}  // namespace balancer::tests

int main(int argc, char** argv) {
    std::string listen = "127.0.0.1:0";
    std::string addresses_file;
    std::string issued_file;
    CLI::App app{"An OAuth 2.0 identity provider. Ends at SIGTERM."};
    app.add_option("--listen", listen, "HOST:PORT, port 0 for a free one");
    app.add_option("--addresses-file", addresses_file, "where to write {\"authorize_url\": URL, \"token_url\": URL}")->required();
    app.add_option("--issued-file", issued_file, "where to write, at the end, every token that was issued");
    CLI11_PARSE(app, argc, argv);

    // Before any thread starts, so that all of them inherit it and sigwait gets the signal.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    return balancer::tests::serve(listen, addresses_file, issued_file, signals);
}
