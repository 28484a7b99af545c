#include "cli/arguments.hpp"
#include "cli/command/commands.hpp"

namespace balancer::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  balancerctl oauth login work\n"
    "  balancerctl oauth status\n"
    "  balancerctl oauth refresh work\n"
    "  balancerctl oauth logout work\n"
    "\n"
    "You must hold the right to use an account in this way.\n";

}  // namespace

void add_oauth(CLI::App& app, Request& request) {
    CLI::App* group = app.add_subcommand("oauth", "Log in to accounts, and see them")->require_subcommand(1);
    group->footer(kExamples);
    AccountFlags& flags = request.account;
    CLI::App* login = add_command(
        *group, "login", "Log in with a browser; or again, when a login is dead", request, [&flags](Session& session) {
            return oauth_login(session, flags);
        }
    );
    login->add_option("ACCOUNT", flags.account, "Its name here; default: its e-mail address")->type_name("");
    add_command(*group, "status", "All accounts, with their tokens and windows", request, oauth_status);
    CLI::App* refresh = add_command(
        *group, "refresh", "Get a new access token now", request, [&flags](Session& session) {
            return oauth_refresh(session, flags);
        }
    );
    refresh->add_option("ACCOUNT", flags.account, "As `oauth status` names it")->required()->type_name("");
    CLI::App* logout = add_command(
        *group, "logout", "Forget an account's tokens", request, [&flags](Session& session) {
            return oauth_logout(session, flags);
        }
    );
    auto* one = logout->add_option("ACCOUNT", flags.account, "As `oauth status` names it")->type_name("");
    logout->add_flag("--all", flags.all, "All accounts")->excludes(one);
    CLI::App* import = add_command(
        *group, "import", "Take the original's tokens over from this desktop's keyring, once", request, [&flags](Session& session) {
            return oauth_import(session, flags);
        }
    );
    import->add_option("--service", flags.service, "Of the entry; default: oauth.service_name of the configuration")
        ->type_name("NAME");
}

}  // namespace balancer::cli
