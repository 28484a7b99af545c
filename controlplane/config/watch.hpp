// Tells when the configuration file has changed: written in place, or replaced by rename as editors
// and Kubernetes do.
#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <functional>
#include <memory>

#include "base/log.hpp"
#include "base/result.hpp"

namespace balancer::controlplane {

// inotify on the file itself, on its folder, and on the folder of every symbolic link that leads to
// it, debounced by 100 ms. Lives on one io_context; `on_change` runs there. It may fire when
// nothing changed: the receiver compares content. Start it before the file is first read, so that
// no change falls between. `log` outlives it.
class ConfigWatch {
  public:
    ConfigWatch(
        boost::asio::io_context& context,
        Log& log,
        std::filesystem::path file,
        std::function<void()> on_change
    );
    ~ConfigWatch();

    // Where nothing can be watched yet (no inotify instance to be had, no folder) it says so in the log and tries again each
    // second; `on_change` then runs as soon as it can. The file itself may be missing.
    void start();

    // `on_change` is not called any more. May be called from `on_change`.
    void stop();

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace balancer::controlplane
