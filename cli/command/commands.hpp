// The commands of balancerctl. Each prints its answer and returns the exit code.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/request.hpp"
#include "cli/session.hpp"

namespace balancer::cli {

struct Completion;

// One candidate a line: the word, a tab, words about it; or the one line ":files". Names that only the control plane knows
// are asked for; when it cannot be asked, they are left out.
int print_completion(Session& session, const Completion& completion);

// kDegraded when no provider is healthy, or a connected data plane is out of sync.
int status(Session& session);

// kFailed when something is broken, kDegraded when there are warnings only.
int doctor(Session& session, const DoctorFlags& flags);

int list_providers(Session& session);
int get_provider(Session& session, const std::string& name);

// Those that change something end with kFailed when they are refused, and when they shall wait and
// a data plane does not follow.
enum class ProviderChange { kEnable, kDisable, kDrain, kReset };
int change_provider(
    Session& session, ProviderChange change, const std::string& name, const ChangeFlags& flags
);
int add_provider(
    Session& session,
    const std::string& name,
    const ProviderFlags& provider,
    const TargetFlags& target,
    const ChangeFlags& flags
);
int update_provider(
    Session& session,
    const std::string& name,
    const ProviderFlags& provider,
    const ChangeFlags& flags
);
int remove_provider(
    Session& session,
    const std::string& name,
    const ProviderFlags& provider,
    const ChangeFlags& flags
);

// kFailed when it does not answer as it should. `model` empty: one that a route sends there.
int test_provider(
    Session& session, const std::string& name, const std::string& model, Milliseconds within
);

int list_routes(Session& session);
int set_route(Session& session, const TargetFlags& target, const ChangeFlags& flags);
int remove_route(Session& session, const TargetFlags& target, const ChangeFlags& flags);

int list_data_planes(Session& session);
int get_data_plane(Session& session, const std::string& name);
// kFailed when it shall wait, and the data plane has not ended in that time.
int drain_data_plane(Session& session, const std::string& name, const ChangeFlags& flags);

// kFailed when nobody knows the request; kDegraded when some data planes could not be asked.
int explain(Session& session, const std::string& request_id);

// Prints the URL to open, then reads from standard input what comes back.
int oauth_login(Session& session, const AccountFlags& flags);
// kDegraded when a login is dead or uncertain, or its token has ended.
int oauth_status(Session& session);
int oauth_refresh(Session& session, const AccountFlags& flags);
int oauth_logout(Session& session, const AccountFlags& flags);
// The tokens of the original program, out of this desktop's keyring.
int oauth_import(Session& session, const AccountFlags& flags);

// What is under way. kDegraded when some data planes could not be asked.
int list_requests(Session& session);

int watch_events(Session& session, const EventsWanted& wanted);

// `file` empty: the control plane's own. kFailed when there are problems.
int validate_config(Session& session, const std::string& file);
int reload_config(Session& session, const ChangeFlags& flags);
// `revision` 0: the one in force.
int show_config(Session& session, std::uint64_t revision);

// `count` 0: all that are kept.
int list_revisions(Session& session, std::uint32_t count);
// Empty sides: the file, and what runs.
int diff_config(Session& session, const std::string& from, const std::string& to);
int rollback_config(Session& session, std::uint64_t revision, const ChangeFlags& flags);
int save_config(Session& session, const ChangeFlags& flags);

int list_keys(Session& session);
int rotate_keys(Session& session, const ChangeFlags& flags);
int retire_key(Session& session, const std::string& id, const ChangeFlags& flags);

}  // namespace balancer::cli
