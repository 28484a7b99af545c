#include "controlplane/config/watch.hpp"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <map>
#include <set>

#include "controlplane/config/watched_paths.hpp"

namespace balancer::controlplane {
namespace {

namespace net = boost::asio;

// An editor's save is several events within a few milliseconds.
constexpr std::chrono::milliseconds kDebounce(100);
// Changes that never pause must still be taken over, this long after the first.
constexpr std::chrono::milliseconds kDebounceMax(1000);
// How often a folder that went away is looked for.
constexpr std::chrono::milliseconds kRetry(1000);

constexpr std::uint32_t kFolderEvents = IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE |
                                        IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                                        IN_MOVE_SELF | IN_ONLYDIR;
// The file itself too: a file mounted alone into a container changes without an event in its
// folder.
constexpr std::uint32_t kFileEvents = IN_MODIFY | IN_CLOSE_WRITE | IN_MOVE_SELF | IN_DELETE_SELF;

// One inotify instance and what its watches are for.
struct Inotify {
    explicit Inotify(net::io_context& context) : descriptor(context) {}

    net::posix::stream_descriptor descriptor;
    std::map<int, std::set<std::string>>
        names;             // by watch; a watch that is not here counts with every event
    bool complete = true;  // every folder could be watched
    alignas(inotify_event) std::array<char, 16384> buffer{};

    bool concerns(const inotify_event& event) const {
        auto found = names.find(event.wd);
        return found == names.end() || event.len == 0 || found->second.contains(event.name);
    }

    bool any_concerns(std::size_t bytes) const {
        std::size_t at = 0;
        while (at + sizeof(inotify_event) <= bytes) {
            const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
            if (concerns(*event)) return true;
            at += sizeof(inotify_event) + event->len;
        }
        return false;
    }
};

Error system_error(const std::string& what) {
    ErrorCode code(errno, boost::system::system_category());
    return Error{code, fmt::format("{}: {}", what, code.message())};
}

Result<std::shared_ptr<Inotify>> open_inotify(
    net::io_context& context, const std::filesystem::path& file
) {
    int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) return system_error("cannot watch the configuration (inotify)");
    auto inotify = std::make_shared<Inotify>(context);
    ErrorCode not_assigned;
    inotify->descriptor.assign(fd, not_assigned);
    if (not_assigned) {
        ::close(fd);
        return Error{not_assigned, "cannot watch the configuration: " + not_assigned.message()};
    }
    for (const auto& [folder, names] : watched_names(file)) {
        int watch = ::inotify_add_watch(fd, folder.c_str(), kFolderEvents);
        if (watch >= 0) {
            inotify->names[watch].insert(names.begin(), names.end());
        } else {
            inotify->complete = false;
        }
    }
    int folder_error = errno;
    // A missing file is no error: its folder tells when it comes. A folder that only others may read is none either.
    bool file_watched = ::inotify_add_watch(fd, file.c_str(), kFileEvents) >= 0;
    if (inotify->names.empty() && !file_watched) {
        errno = folder_error;
        return system_error("cannot watch the folder of " + file.string());
    }
    return inotify;
}

}  // namespace

struct ConfigWatch::State : std::enable_shared_from_this<State> {
    State(net::io_context& c, Log& l, std::filesystem::path f, std::function<void()> callback)
        : context(c), log(l), file(std::move(f)), on_change(std::move(callback)), timer(c) {}

    net::io_context& context;
    Log& log;
    const std::filesystem::path file;
    std::function<void()> on_change;
    net::steady_timer timer;
    std::shared_ptr<Inotify> inotify;  // null: none to be had yet
    bool stopped = false;
    std::chrono::steady_clock::time_point first_event;
    bool pending = false;
    bool lost_said = false;  // since it could be watched last

    void read() {
        inotify->descriptor.async_read_some(
            net::buffer(inotify->buffer),
            [self = shared_from_this(), mine = inotify](ErrorCode ec, std::size_t bytes) {
                // Another instance took over, or the watch has stopped.
                if (self->inotify != mine) return;
                if (ec) {
                    self->lost(ec.message());
                    return;
                }
                if (mine->any_concerns(bytes)) self->changed();
                self->read();
            }
        );
    }

    void changed() {
        auto now = std::chrono::steady_clock::now();
        if (!pending) first_event = now;
        pending = true;
        wait_until(std::min(now + kDebounce, first_event + kDebounceMax));
    }

    void wait_until(std::chrono::steady_clock::time_point when) {
        timer.expires_at(when);
        timer.async_wait([self = shared_from_this()](ErrorCode ec) {
            if (!ec && !self->stopped) self->fire();
        });
    }

    // The watches are made anew before the receiver reads: what changes before is read, what
    // changes after is seen. So a link or a file that has been replaced needs no book-keeping.
    void fire() {
        const bool was_complete = inotify && inotify->complete;
        const bool had_change = pending;
        pending = false;
        Result<std::shared_ptr<Inotify>> fresh = open_inotify(context, file);
        if (fresh) {
            // The pending read keeps the old one alive: closed, it ends.
            ErrorCode ignored;
            if (inotify) inotify->descriptor.close(ignored);
            inotify = *std::move(fresh);
            lost_said = false;
            read();
            if (!inotify->complete) wait_until(std::chrono::steady_clock::now() + kRetry);
            if (had_change || (!was_complete && inotify->complete)) on_change();
        } else {
            lost(fresh.error().text());
        }
    }

    void lost(const std::string& why) {
        if (!lost_said) {
            log.emit(
                LogLevel::kWarning,
                LogEvent::kNotice,
                "the configuration file cannot be watched for now: changes to it are not seen until it can, except by "
                "balancerctl config reload",
                {{"file", file.string()}, {"reason", why}}
            );
        }
        lost_said = true;
        if (inotify) inotify->complete = false;
        wait_until(std::chrono::steady_clock::now() + kRetry);
    }
};

ConfigWatch::ConfigWatch(
    boost::asio::io_context& context,
    Log& log,
    std::filesystem::path file,
    std::function<void()> on_change
)
    : state_(std::make_shared<State>(context, log, std::move(file), std::move(on_change))) {}

ConfigWatch::~ConfigWatch() {
    stop();
}

void ConfigWatch::start() {
    Result<std::shared_ptr<Inotify>> inotify = open_inotify(state_->context, state_->file);
    if (!inotify) {
        state_->lost(inotify.error().text());
        return;
    }
    state_->inotify = *std::move(inotify);
    state_->read();
    if (!state_->inotify->complete) state_->wait_until(std::chrono::steady_clock::now() + kRetry);
}

void ConfigWatch::stop() {
    state_->stopped = true;
    state_->timer.cancel();
    if (state_->inotify) state_->inotify->descriptor.cancel();
    state_->inotify.reset();
}

}  // namespace balancer::controlplane
