// The original keeps its tokens in the desktop's keyring; `secret-tool` (Debian: libsecret-tools) reads them.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/secret_bytes.hpp"
#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"

extern char** environ;

namespace balancer::cli {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kAnswerBytesMax = 1 << 20;
constexpr std::size_t kWordsBytesMax = 300;
// Far behind what a token can last: a number beyond it is a mistake, and must not overflow.
constexpr double kExpiresMax = 1e11;

struct Ran {
    std::string output;
    std::string errors;
    int status = 0;  // as waitpid tells it
};

// Appends what can be read now; false at the end.
bool read_some(int end, std::string& out) {
    std::string buffer(4096, '\0');
    ssize_t got = ::read(end, buffer.data(), buffer.size());
    if (got < 0) return errno == EINTR;
    if (out.size() < kAnswerBytesMax) out.append(buffer, 0, static_cast<std::size_t>(got));
    wipe(buffer);
    return got > 0;
}

// Nothing: it cannot be started.
std::optional<Ran> run_program(std::array<const char*, 7> arguments) {
    std::array<std::array<int, 2>, 2> pipes{};  // of its output and its errors
    for (std::array<int, 2>& pipe : pipes) {
        if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return std::nullopt;
    }
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, pipes[0][1], STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, pipes[1][1], STDERR_FILENO);
    pid_t child = 0;
    int failed = ::posix_spawnp(
        &child, arguments[0], &actions, nullptr, const_cast<char* const*>(arguments.data()), environ
    );
    ::posix_spawn_file_actions_destroy(&actions);
    for (const std::array<int, 2>& pipe : pipes) ::close(pipe[1]);
    Ran ran;
    std::array<pollfd, 2> ends{pollfd{pipes[0][0], POLLIN, 0}, pollfd{pipes[1][0], POLLIN, 0}};
    auto is_open = [](const pollfd& end) { return end.fd >= 0; };
    while (failed == 0 && std::any_of(ends.begin(), ends.end(), is_open)) {
        if (::poll(ends.data(), ends.size(), -1) < 0 && errno != EINTR) break;
        if (ends[0].revents != 0 && !read_some(ends[0].fd, ran.output)) ends[0].fd = -1;
        if (ends[1].revents != 0 && !read_some(ends[1].fd, ran.errors)) ends[1].fd = -1;
    }
    for (const std::array<int, 2>& pipe : pipes) ::close(pipe[0]);
    if (failed != 0) return std::nullopt;
    while (::waitpid(child, &ran.status, 0) < 0 && errno == EINTR) {}
    return ran;
}

// The keyring's entry of that service.
Result<std::string> entry_of(const std::string& service) {
    // The attributes that Python's keyring gives its entries.
    std::optional<Ran> ran = run_program({"secret-tool", "lookup", "service", service.c_str(), "username", "oauth_tokens", nullptr});
    if (!ran) return invalid("secret-tool cannot be started: is it installed (Debian: apt install libsecret-tools)?");
    if (WIFEXITED(ran->status) && WEXITSTATUS(ran->status) == 0 && !ran->output.empty()) return std::move(ran->output);
    while (!ran->errors.empty() && ran->errors.back() == '\n') ran->errors.pop_back();
    if (!ran->errors.empty()) {
        return invalid("secret-tool failed: " + printable(std::string_view(ran->errors).substr(0, kWordsBytesMax)));
    }
    if (WIFSIGNALED(ran->status)) return invalid(fmt::format("secret-tool was ended by signal {}", WTERMSIG(ran->status)));
    return invalid(fmt::format(
        "this desktop's keyring has no entry of service '{}' (run this where the original ran, as its user; --service names "
        "another)",
        printable(service)
    ));
}

std::string text_of(const Json& token, const char* key) {
    return token.contains(key) && token[key].is_string() ? token[key].get<std::string>() : std::string();
}

v1::ImportAccountRequest request_of(const Json& token) {
    v1::ImportAccountRequest request;
    request.set_account(text_of(token, "account_email"));
    request.set_access_token(text_of(token, "access_token"));
    request.set_refresh_token(text_of(token, "refresh_token"));
    if (token.contains("expires_at") && token["expires_at"].is_number()) {
        double seconds = std::clamp(token["expires_at"].get<double>(), 0.0, kExpiresMax);
        request.set_expires_at_ms(static_cast<std::int64_t>(seconds * 1000));
    }
    if (token.contains("scopes") && token["scopes"].is_array()) {
        for (const Json& scope : token["scopes"]) {
            if (scope.is_string()) request.add_scopes(scope.get<std::string>());
        }
    }
    return request;
}

Result<v1::AccountResponse> import_token(Session& session, const v1::ImportAccountRequest& request) {
    if (request.refresh_token().empty() && request.expires_at_ms() <= session.now) {
        return invalid("its access token has ended and it has no refresh token: log in with `balancerctl oauth login`");
    }
    return session.client.call(&v1::Admin::Stub::ImportAccount, request);
}

}  // namespace

int oauth_import(Session& session, const AccountFlags& flags) {
    auto known = session.client.call(&v1::Admin::Stub::ListAccounts, v1::ListAccountsRequest());
    if (!known) return report(session, known.error());
    Result<std::string> found = entry_of(flags.service.empty() ? known->service_name() : flags.service);
    if (!found) return report(session, found.error());
    Json entry = Json::parse(*found, nullptr, false);
    wipe(*found);
    if (entry.is_discarded()) return report(session, invalid("the keyring's entry is no JSON: it is cut, or another program's"));
    if (!entry.is_object() || !entry.contains("tokens") || !entry["tokens"].is_array() || entry["tokens"].empty()) {
        return report(session, invalid("the keyring's entry holds no tokens of the original program"));
    }
    int code = kDone;
    bool any = false;
    for (const Json& token : entry["tokens"]) {
        v1::ImportAccountRequest request = request_of(token.is_object() ? token : Json::object());
        auto answer = import_token(session, request);
        if (!answer) {
            Error why = answer.error();
            why.detail = fmt::format("account '{}' is not imported: {}", printable(request.account()), why.text());
            code = report(session, why);
            if (code == kUnreachable) return code;
            continue;
        }
        any = true;
        if (session.format == Format::kTable) {
            session.out << fmt::format("account '{}' is imported\n", printable(answer->account().name()));
        } else {
            print_document(*answer, session.format, session.out);
        }
    }
    if (any && session.format == Format::kTable) {
        session.out << "Stop the original now: a refresh token works once, and whoever uses it second ends the login.\n";
    }
    return code;
}

}  // namespace balancer::cli
