// How the process that posts is started: the control plane's own program.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace balancer::controlplane {

// The only argument of that process, but for --debuggable. Not for people, so no help names it.
inline constexpr const char* kPostRefreshFlag = "--post-refresh";

struct PostProgram {
    std::filesystem::path path{};  // empty: there is none, and who wants to post does it himself
    std::vector<std::string> arguments{};
};

}  // namespace balancer::controlplane
