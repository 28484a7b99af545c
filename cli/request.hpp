// What the command line asks for.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/session.hpp"

namespace balancer::cli {

// What every command that changes something takes.
struct ChangeFlags {
    std::string reason;
    std::uint64_t if_revision = 0;  // 0: whatever is in force
    bool dry_run = false;
    bool force = false;
    std::string wait_s;  // empty: does not wait; "true": for the default time
};

// Where a provider's credential comes from; at most one is given. The secret itself is in none of
// them: a command line is seen by every process of the machine.
struct KeyFlags {
    bool from_stdin = false;
    std::string file;      // a file that the control plane reads
    std::string variable;  // of the control plane's environment
    bool passthrough = false;
};

struct ProviderFlags {
    std::optional<std::string> type;
    std::optional<std::string> base_url;
    std::optional<std::string> auth_type;
    std::optional<std::string> proxy;
    std::optional<std::string> ca_file;
    std::optional<std::string> streaming_mode;
    std::optional<std::uint32_t> weight;
    std::optional<std::uint32_t> max_concurrency;
    bool disabled = false;  // add only
    KeyFlags key;
    std::string if_etag;
    bool with_routes = false;           // remove only
    std::vector<std::string> patterns;  // add only: routes that shall lead to it
};

struct TargetFlags {
    std::string pattern;
    std::string provider;
    std::optional<std::string> model;
    std::optional<std::int32_t> priority;
    std::optional<bool> enabled;
};

// Of `events`.
struct EventsWanted {
    std::string since;               // an id; empty: from the oldest that is remembered
    std::vector<std::string> types;  // empty: all
    bool follow = false;             // goes on, over restarts of the control plane as well
    std::size_t count = 0;           // ends after so many; 0: no limit
};

// Of `oauth`.
struct AccountFlags {
    std::string account;
    std::string service;  // import: the keyring entry's; empty: the configuration's
    bool all = false;     // logout
};

struct DoctorFlags {
    std::vector<std::string> providers;  // empty: all enabled ones
    std::string model;                   // empty: one that a route sends there
    double within_s = 20;                // for each request to a provider
    bool no_probes = false;
};

struct Request {
    std::string server = "127.0.0.1:9091";
    std::string token_file = "state/admin.token";
    std::string format = "table";
    double timeout_s = 10;
    std::string name;
    std::string file;
    std::string model;
    std::uint64_t revision = 0;
    std::uint32_t count = 20;
    std::string from;
    std::string to;
    double test_timeout_s = 20;
    ChangeFlags change;
    ProviderFlags provider;
    TargetFlags target;
    EventsWanted events;
    AccountFlags account;
    DoctorFlags doctor;
    std::function<int(Session&)> command;
};

}  // namespace balancer::cli
