// fake-provider: the scripted provider as a program, for demos, benchmarks and end-to-end tests.
#include <fmt/format.h>
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.hpp"
#include "tests/support/fake_provider.hpp"

namespace balancer::tests {
namespace {

struct Flags {
    std::string listen = "127.0.0.1:0";
    std::string script_file;
    std::string addresses_file;
    std::string certificate_file;
    std::string key_file;
    std::string record_file;
};

int fail(const std::string& words) {
    fmt::print(stderr, "fake-provider: {}\n", words);
    return 1;
}

Result<Script> load_script(const std::string& file) {
    if (file.empty()) return Script{};
    Result<std::string> text = read_file(file);
    if (!text) return text.error();
    Result<Script> script = parse_script(*text);
    if (!script) return invalid(fmt::format("{}: {}", file, script.error().text()));
    return script;
}

Result<std::optional<Identity>> load_identity(const Flags& flags) {
    if (flags.certificate_file.empty()) return std::optional<Identity>();
    Result<std::string> certificate = read_file(flags.certificate_file);
    if (!certificate) return certificate.error();
    Result<std::string> key = read_file(flags.key_file);
    if (!key) return key.error();
    return std::optional(Identity{*certificate, *key});
}

// Appends a JSON line for every finished request.
class Recorder {
  public:
    Result<void> open(const std::string& file) {
        file_.open(file, std::ios::app);
        if (!file_) return invalid(fmt::format("cannot write {}", file));
        return {};
    }

    void write(const RecordedRequest& request) {
        nlohmann::json line = {
            {"number", request.number},
            {"connection", request.connection},
            {"method", request.method},
            {"target", request.target},
            {"headers", request.headers},
            {"body", request.body},
            {"abandoned", request.playback == Playback::kAbandoned},
        };
        file_ << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
    }

  private:
    std::ofstream file_;
};

// Returns when SIGTERM or SIGINT comes, which every thread must have blocked.
void wait_for_signal(const sigset_t& signals) {
    int signal = 0;
    sigwait(&signals, &signal);
}

int serve(const Flags& flags, const sigset_t& signals) {
    Result<Script> script = load_script(flags.script_file);
    if (!script) return fail(script.error().text());
    Result<std::optional<Identity>> identity = load_identity(flags);
    if (!identity) return fail(identity.error().text());
    Recorder recorder;
    FakeProviderOptions options{flags.listen, std::move(*identity), 0};
    if (!flags.record_file.empty()) {
        Result<void> opened = recorder.open(flags.record_file);
        if (!opened) return fail(opened.error().text());
        options.on_finished = [&recorder](const RecordedRequest& request) {
            recorder.write(request);
        };
    }
    try {
        FakeProvider provider(std::move(*script), options);
        fmt::print("listening on {}\n", provider.address());
        std::fflush(stdout);
        if (!flags.addresses_file.empty()) {
            std::string json = nlohmann::json{{"listen", provider.address()}}.dump();
            Result<void> written = write_file_atomically(flags.addresses_file, json + "\n", 0644);
            if (!written) return fail(written.error().text());
        }
        wait_for_signal(signals);
    } catch (const std::exception& problem) {
        return fail(fmt::format("cannot serve on {}: {}", flags.listen, problem.what()));
    }
    return 0;
}

}  // namespace
}  // namespace balancer::tests

int main(int argc, char** argv) {
    balancer::tests::Flags flags;
    CLI::App app{"A scriptable Anthropic-like provider. Ends at SIGTERM."};
    app.add_option("--listen", flags.listen, "HOST:PORT, port 0 for a free one");
    app.add_option("--script", flags.script_file, "JSON script; none: every request succeeds");
    app.add_option(
        "--addresses-file", flags.addresses_file, "where to write {\"listen\": ADDRESS}"
    );
    app.add_option("--record", flags.record_file, "appends every finished request as a JSON line");
    CLI::Option* certificate =
        app.add_option("--tls-certificate", flags.certificate_file, "PEM chain: serves HTTPS");
    CLI::Option* key = app.add_option("--tls-key", flags.key_file, "PEM key");
    certificate->needs(key);
    key->needs(certificate);
    CLI11_PARSE(app, argc, argv);

    // Before any thread starts, so that all of them inherit it and sigwait gets the signal.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    return balancer::tests::serve(flags, signals);
}
