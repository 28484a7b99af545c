// A data plane as a process of its own. For scenarios that CMake gives the program's path
// (balancer_needs_data_plane).
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/scenario/fleet.hpp"
#include "tests/support/child_process.hpp"

namespace balancer::tests {

// Its files are in a folder of the fleet that is called like it; addresses.json says what it bound.
inline std::unique_ptr<ChildProcess> start_data_plane_process(
    const Fleet& fleet, const std::string& id, const std::string& control_plane
) {
    std::filesystem::path folder = fleet.folder() / id;
    std::filesystem::create_directories(folder);
    std::filesystem::remove(folder / "addresses.json");
    return std::make_unique<ChildProcess>(
        BALANCER_DATA_PLANE_PROGRAM,
        std::vector<std::string>{
            "--control-plane",
            control_plane,
            "--token-file",
            (fleet.control_plane_dir() / "dataplane.token").string(),
            "--state-dir",
            folder.string(),
            "--id",
            id,
            "--workers",
            "1",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--drain-grace",
            "0",
        },
        folder / "output"
    );
}

}  // namespace balancer::tests
