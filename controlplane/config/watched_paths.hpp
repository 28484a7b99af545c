// Which directory entries decide what a path leads to.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>

namespace balancer::controlplane {

// Folder -> names in it. A change to any of them can change what is read at the path.
using WatchedNames = std::map<std::filesystem::path, std::set<std::string>>;

// Follows `file` as the kernel does: the final name in its folder, and each symbolic link on the
// way in its own. A chain longer than the kernel follows is cut there. The file need not exist.
WatchedNames watched_names(const std::filesystem::path& file);

}  // namespace balancer::controlplane
