// The original keeps its tokens in the desktop's keyring; `secret-tool` (Debian: libsecret-tools) reads them.
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
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

// What the program prints; its errors go to our own standard error.
Result<std::string> output_of(std::array<const char*, 7> arguments) {
    int ends[2];
    if (::pipe(ends) != 0) return invalid("no pipe for secret-tool");
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    ::posix_spawn_file_actions_addclose(&actions, ends[0]);
    pid_t child = 0;
    int failed = ::posix_spawnp(
        &child, arguments[0], &actions, nullptr, const_cast<char* const*>(arguments.data()), environ
    );
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (failed != 0) {
        ::close(ends[0]);
        return invalid("secret-tool cannot be started: is it installed (Debian: apt install libsecret-tools)?");
    }
    std::string output;
    std::array<char, 4096> buffer{};
    for (ssize_t got = 0; (got = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
        if (output.size() < kAnswerBytesMax) output.append(buffer.data(), static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || output.empty()) {
        return invalid("secret-tool found no such entry in this desktop's keyring (run this where the original ran, as its user)");
    }
    return output;
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
        request.set_expires_at_ms(static_cast<std::int64_t>(token["expires_at"].get<double>() * 1000));
    }
    if (token.contains("scopes") && token["scopes"].is_array()) {
        for (const Json& scope : token["scopes"]) {
            if (scope.is_string()) request.add_scopes(scope.get<std::string>());
        }
    }
    return request;
}

}  // namespace

int oauth_import(Session& session, const AccountFlags& flags) {
    auto known = session.client.call(&v1::Admin::Stub::ListAccounts, v1::ListAccountsRequest());
    if (!known) return report(session, known.error());
    const std::string service = flags.service.empty() ? known->service_name() : flags.service;
    // The attributes that Python's keyring gives its entries.
    Result<std::string> found = output_of(
        {"secret-tool", "lookup", "service", service.c_str(), "username", "oauth_tokens", nullptr}
    );
    if (!found) return report(session, found.error());
    Json entry = Json::parse(*found, nullptr, false);
    wipe(*found);
    if (!entry.is_object() || !entry.contains("tokens") || !entry["tokens"].is_array() || entry["tokens"].empty()) {
        return report(session, invalid("the keyring's entry holds no tokens of the original program"));
    }
    int code = kDone;
    for (const Json& token : entry["tokens"]) {
        if (!token.is_object()) continue;
        auto answer = session.client.call(&v1::Admin::Stub::ImportAccount, request_of(token));
        if (!answer) {
            code = report(session, answer.error());
        } else if (session.format == Format::kTable) {
            session.out << fmt::format("account '{}' is imported\n", printable(answer->account().name()));
        } else {
            print_document(*answer, session.format, session.out);
        }
    }
    if (code == kDone && session.format == Format::kTable) {
        session.out << "Stop the original now: a refresh token works once, and whoever uses it second ends the login.\n";
    }
    return code;
}

}  // namespace balancer::cli
