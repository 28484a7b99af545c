// The commands of balancerctl. Each prints its answer and returns the exit code.
#pragma once

#include <string>

#include "cli/session.hpp"

namespace balancer::cli {

// kDegraded when no provider is healthy, or a connected data plane is out of sync.
int status(Session& session);

int list_providers(Session& session);
int get_provider(Session& session, const std::string& name);

enum class ProviderChange { kEnable, kDisable, kReset };
int change_provider(
    Session& session, ProviderChange change, const std::string& name, const std::string& reason
);

int list_data_planes(Session& session);

// `file` empty: the control plane's own. kFailed when there are problems.
int validate_config(Session& session, const std::string& file);
int reload_config(Session& session, const std::string& reason);
int show_config(Session& session);

}  // namespace balancer::cli
