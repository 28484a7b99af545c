// What every command gets: the connection, where to print, and how.
#pragma once

#include <istream>
#include <ostream>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "cli/client.hpp"
#include "cli/style.hpp"

namespace balancer::cli {

enum class Format { kTable, kJson, kYaml };

// Exit codes, the same for every command.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;       // refused, or the answer is "no"
inline constexpr int kUsage = 2;        // flags that make no sense
inline constexpr int kUnreachable = 3;  // no connection, or the token is not accepted
inline constexpr int kDegraded = 4;     // it runs, but not as it should (status)

struct Session {
    Client& client;
    std::ostream& out;
    std::ostream& err;
    Format format = Format::kTable;
    Color color = Color::kOff;      // of `out`
    Color err_color = Color::kOff;  // of `err`
    UnixMs now = 0;
    std::istream& in;  // for secrets that are not to stand on the command line
};

// Prints the error and returns its exit code.
int report(Session& session, const Error& error);

}  // namespace balancer::cli
