// Credentials that a change of the configuration sends somewhere else: a base URL is quickly mistyped, or slipped in.
#pragma once

#include <string>
#include <vector>

#include "controlplane/config/load.hpp"

namespace balancer::controlplane {

struct MovedCredential {
    std::string what;  // "the credential of provider 'alpha'"
    std::string from;  // origins: https://api.example.com
    std::string to;
};

// What is in both, and goes to another origin (scheme, host or port) by `to` than by `from`.
std::vector<MovedCredential> moved_credentials(const LoadedConfig& from, const LoadedConfig& to);

// Of a change that is, or would be, in force.
std::string to_string(const MovedCredential& moved);

}  // namespace balancer::controlplane
