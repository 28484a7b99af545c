// balancerctl in the test's own process. For scenarios that are linked with balancer_cli.
#pragma once

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/run.hpp"

namespace balancer::tests {

// Its exit code. `grpc` is the control plane's address, `control_plane_dir` its state directory; `input` is what is typed.
inline int balancerctl(
    const std::string& grpc,
    const std::filesystem::path& control_plane_dir,
    std::vector<std::string> words,
    std::ostream& out,
    std::ostream& err,
    const std::string& input = {}
) {
    std::string token_file = (control_plane_dir / "admin.token").string();
    words.insert(words.begin(), {"balancerctl", "--server", grpc, "--token-file", token_file});
    std::vector<const char*> argv;
    std::transform(words.begin(), words.end(), std::back_inserter(argv), [](const auto& word) { return word.c_str(); });
    std::istringstream in(input);
    return cli::run(static_cast<int>(argv.size()), argv.data(), out, err, cli::Color::kOff, in);
}

}  // namespace balancer::tests
