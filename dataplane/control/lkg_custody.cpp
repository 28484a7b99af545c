#include "dataplane/control/lkg_custody.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <utility>

namespace balancer::dataplane {

namespace net = boost::asio;

// The folder is used on the pool's one thread only.
struct LkgCustody::Disk {
    Disk(std::unique_ptr<LkgFolder> f, StatusBoard& b, Log& l)
        : folder(std::move(f)), board(b), log(l) {}

    // False: it is not on disk.
    bool write(const v1::Update& state) {
        UnixMs now = unix_now();
        Result<void> saved = folder->save(state, now);
        board.change([&](ControlStatus& status) {
            if (saved) {
                ++status.kept;
                status.kept_at = now;
            } else {
                ++status.keep_failures;
            }
        });
        std::string problem = saved ? std::string() : saved.error().text();
        // A full disk is one event, not one for each version.
        if (problem == std::exchange(last_problem, problem) || problem.empty()) return problem.empty();
        log.emit(
            LogLevel::kWarning,
            LogEvent::kLastKnownGoodNotKept,
            fmt::format(
                "the state in force cannot be kept on disk: {}; requests go on, but a restart "
                "without a control plane would find an older state, or none",
                problem
            ),
            {{"epoch", state.version().epoch()}, {"seq", state.version().seq()}}
        );
        return false;
    }

    std::unique_ptr<LkgFolder> folder;
    StatusBoard& board;
    Log& log;
    std::string last_problem;  // as logged; empty: the last write was good
    net::thread_pool thread{1};
};

LkgCustody::LkgCustody(
    std::shared_ptr<net::io_context> loop,
    std::unique_ptr<LkgFolder> folder,
    Applier& applier,
    StatusBoard& board,
    Log& log,
    std::function<void(Applied&)> on_restored,
    LkgTimes times
)
    : loop_(std::move(loop)),
      applier_(applier),
      board_(board),
      log_(log),
      on_restored_(std::move(on_restored)),
      times_(times),
      cold_timer_(*loop_),
      save_timer_(*loop_) {
    if (folder) disk_ = std::make_unique<Disk>(std::move(folder), board, log);
}

LkgCustody::~LkgCustody() {
    join();
}

void LkgCustody::start() {
    if (!disk_) return;
    cold_timer_.expires_after(times_.cold_start);
    cold_timer_.async_wait([this](const ErrorCode& ec) {
        if (!ec) load();
    });
}

void LkgCustody::unreachable() {
    load();
}

void LkgCustody::load() {
    if (!disk_ || stopped_ || applier_.version().seq() != 0 || std::exchange(asked_, true)) return;
    net::post(disk_->thread, [this, loop = loop_] {
        net::post(*loop, [this, found = disk_->folder->find()]() mutable {
            if (!stopped_) loaded(std::move(found));
        });
    });
}

void LkgCustody::loaded(LkgFound found) {
    if (applier_.version().seq() != 0) return;  // a control plane was faster
    Applied applied;
    UnixMs saved_at = 0;
    for (const LkgState& state : found.states) {
        applied = applier_.restore(state.update, state.saved_at);
        saved_at = state.saved_at;
        if (applied.accepted) break;
        const v1::Version& version = state.update.version();
        found.refused.push_back(
            fmt::format("version ({}, {}): {}", version.epoch(), version.seq(), applied.refusal)
        );
    }
    for (const std::string& words : found.refused) {
        log_.emit(
            LogLevel::kError,
            LogEvent::kLastKnownGoodRefused,
            fmt::format(
                "a last known good state on disk is not used: {}; {}",
                words,
                applied.accepted ? "an older one is"
                                 : "it is replaced when a control plane is heard"
            )
        );
    }
    const v1::Version& version = applier_.version();
    board_.change([&](ControlStatus& status) {
        status.kept_refused += found.refused.size();
        if (!applied.accepted) return;
        status.applied = SnapshotVersion{version.store_uuid(), version.epoch(), version.seq()};
        status.applied_at = unix_now();
        status.source = SnapshotSource::kDisk;
        status.restored_from = saved_at;
    });
    if (!applied.accepted) return;
    log_.emit(
        LogLevel::kWarning,
        LogEvent::kSnapshotRestored,
        fmt::format(
            "no control plane has answered: serving on version ({}, {}) from disk, {} s old",
            version.epoch(),
            version.seq(),
            std::max<UnixMs>(0, unix_now() - saved_at) / 1000
        ),
        {{"epoch", version.epoch()}, {"seq", version.seq()}, {"store", version.store_uuid()}}
    );
    on_restored_(applied);
}

void LkgCustody::applied(const Applied& applied) {
    cold_timer_.cancel();
    if (!disk_ || stopped_) return;
    // The epoch too is written soon: it is what a control plane of the past is known by.
    bool soon = applied.snapshot != nullptr || applier_.version().epoch() != saved_epoch_;
    SteadyTime at = steady_now() + (soon ? times_.settings_wait : times_.health_wait);
    if (!due_ || at < *due_) arm(at);
}

void LkgCustody::arm(SteadyTime at) {
    due_ = at;
    if (rests_) return;
    save_timer_.expires_at(at);
    save_timer_.async_wait([this](const ErrorCode& ec) {
        if (!ec && !stopped_) save();
    });
}

void LkgCustody::save() {
    due_.reset();
    saved_epoch_ = applier_.version().epoch();
    net::post(disk_->thread, [this, loop = loop_, disk = disk_.get(), state = applier_.state()] {
        if (disk->write(state)) return;
        // The folder's lock may be free by then, or the disk have room: a quiet fleet may bring no news for days.
        net::post(*loop, [this] {
            if (!stopped_ && !due_) arm(steady_now() + times_.health_wait);
        });
    });
}

void LkgCustody::rest(bool yes) {
    if (!disk_ || stopped_ || std::exchange(rests_, yes) == yes) return;
    if (!yes) {
        if (due_) arm(*due_);
        return;
    }
    save_timer_.cancel();
    const std::optional<SteadyTime> due = due_;
    if (due) save();
    due_ = due;  // should it come to nothing, what comes meanwhile is written with it
    net::post(disk_->thread, [disk = disk_.get()] { disk->folder->unlock(); });
}

void LkgCustody::stop() {
    if (std::exchange(stopped_, true)) return;
    cold_timer_.cancel();
    save_timer_.cancel();
    if (disk_ && due_ && !rests_) save();
}

void LkgCustody::join() {
    if (disk_) disk_->thread.join();
}

}  // namespace balancer::dataplane
