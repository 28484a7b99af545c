#include "controlplane/config/watched_paths.hpp"

namespace balancer::controlplane {
namespace {

namespace fs = std::filesystem;

constexpr int kLinksMax = 40;  // as Linux

}  // namespace

WatchedNames watched_names(const fs::path& file) {
    WatchedNames names;
    std::error_code failed;
    fs::path rest = fs::absolute(file, failed);
    if (failed) rest = fs::path("/") / file;
    fs::path at = "/";
    rest = rest.relative_path();
    int links = 0;
    while (!rest.empty()) {
        auto first = rest.begin();
        fs::path name = *first;
        fs::path after;
        for (auto part = std::next(first); part != rest.end(); ++part) after /= *part;
        if (name == "." || name.empty()) {
            rest = after;
            continue;
        }
        if (name == "..") {
            // `at` holds no links any more, so its parent is what the kernel would take.
            at = at.parent_path();
            rest = after;
            continue;
        }
        fs::path here = at / name;
        std::error_code not_a_link;
        fs::path target = fs::read_symlink(here, not_a_link);
        if (!not_a_link) {
            names[at].insert(name.string());
            if (++links > kLinksMax) break;
            if (target.is_absolute()) at = "/";
            rest = target.relative_path() / after;
            continue;
        }
        if (after.empty()) names[at].insert(name.string());
        at = here;
        rest = after;
    }
    return names;
}

}  // namespace balancer::controlplane
