// The last known good state: when it is written, and when it is brought back.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "dataplane/control/applier.hpp"
#include "dataplane/control/lkg_folder.hpp"
#include "dataplane/control/status_board.hpp"

namespace balancer::dataplane {

struct LkgTimes {
    Milliseconds cold_start{2'000};    // without a control plane, from the start to the disk
    Milliseconds settings_wait{200};   // from a changed configuration to its file
    Milliseconds health_wait{10'000};  // from a version that changes nothing else, or a write that failed
};

// Lives on the control thread; the disk is used on a thread of its own, since an fsync may take
// seconds, and the control plane is owed a heartbeat every two. The board and the log outlive this;
// it outlives the loop's last run.
//
// What is held in memory is never replaced: the disk is asked only while nothing is.
class LkgCustody {
  public:
    LkgCustody(
        std::shared_ptr<boost::asio::io_context> loop,
        std::unique_ptr<LkgFolder> folder,  // null: nothing is kept
        Applier& applier,
        StatusBoard& board,
        Log& log,
        std::function<void(Applied&)> on_restored,
        LkgTimes times = {}
    );
    ~LkgCustody();

    void start();

    // No control plane can be reached: the disk is asked at once.
    void unreachable();

    // After each Update that was accepted.
    void applied(const Applied& applied);

    // Yes: what waits is written, and the folder is another process's until this is taken back.
    void rest(bool yes);

    // What waits is written; no hook runs any more.
    void stop();

    // Waits until it is written. From any thread, after stop().
    void join();

  private:
    // What both threads use.
    struct Disk;

    void load();
    void loaded(LkgFound found);
    void arm(SteadyTime at);
    void save();

    std::shared_ptr<boost::asio::io_context> loop_;
    std::unique_ptr<Disk> disk_;
    Applier& applier_;
    StatusBoard& board_;
    Log& log_;
    std::function<void(Applied&)> on_restored_;
    LkgTimes times_;

    boost::asio::steady_timer cold_timer_;
    boost::asio::steady_timer save_timer_;
    std::optional<SteadyTime> due_;  // none: what is held has been written
    std::uint64_t saved_epoch_ = 0;
    bool asked_ = false;
    bool rests_ = false;
    bool stopped_ = false;
};

}  // namespace balancer::dataplane
