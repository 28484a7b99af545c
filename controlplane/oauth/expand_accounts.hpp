// From the providers of the configuration to those that are published: one for each account.
#pragma once

#include <vector>

#include "balancer/v1/config.pb.h"
#include "controlplane/oauth/account.hpp"

namespace balancer::controlplane {

// Each account of a provider of auth_type oauth has a health, a limit and sessions of its own, so each is a provider to whoever
// sends requests: PROVIDER/ACCOUNT, in every route in the provider's place, in the order of `accounts:`, or by name. A
// provider without any account stays, and has no credential.
v1::ConfigSection expand_accounts(
    const v1::ConfigSection& config, const std::vector<const Account*>& accounts, bool claude_code_only
);

}  // namespace balancer::controlplane
