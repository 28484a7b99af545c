// kill -9 at every step of a change: a process is killed at its n-th write to the disk, for every
// n, and what is found afterwards is the state before the change or the one after it, whole.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>

#include "base/file.hpp"
#include "controlplane/store/sqlite_store.hpp"
#include "tests/unit/controlplane/admin/control_plane_fixture.hpp"
#include "tests/unit/controlplane/admin/killed_process.hpp"

namespace balancer::controlplane {
namespace {

using test::config_yaml;
using test::disk_steps_left;
using test::killed_at;
using test::TempDir;

class CrashTest : public testing::Test {
  protected:
    // A control plane on the real store. Only what it keeps matters here: nothing runs its loop.
    struct Started {
        explicit Started(const TempDir& dir) {
            log.set_level(LogLevel::kError);
            Result<std::unique_ptr<Store>> opened = open_sqlite_store(dir.path());
            if (!opened) std::abort();
            store = *std::move(opened);
            std::filesystem::path file = dir.path() / "config.yaml";
            plane = std::make_unique<ControlPlane>(
                context,
                log,
                *store,
                ControlPlane::Options{file, dir.path(), test::no_environment()}
            );
            LoadResult loaded = load_config(file, test::no_environment());
            if (!plane->start(std::get<LoadedConfig>(std::move(loaded)))) std::abort();
        }
        boost::asio::io_context context{1};
        Log log{"test"};
        std::unique_ptr<Store> store;
        std::unique_ptr<ControlPlane> plane;
    };

    static std::string state_of(const TempDir& dir) {
        Started started(dir);
        std::string state = started.plane->show_config().config().ShortDebugString();
        state += std::to_string(started.plane->status().revision().number());
        // Whole: the history can be read and shown up to the head.
        auto history = started.plane->list_revisions(v1::ListRevisionsRequest());
        EXPECT_TRUE(history.has_value());
        for (const v1::Revision& revision : history->revisions()) {
            EXPECT_TRUE(started.plane->show_revision(revision.number()).has_value());
        }
        EXPECT_EQ(history->revisions_size(), static_cast<int>(history->head()));
        return state;
    }

    // Kills `change` at every step, each time on a fresh copy of the same store.
    static void kill_at_every_step(const std::function<void(Started&)>& change) {
        TempDir origin;
        origin.write("config.yaml", config_yaml());
        { Started first(origin); }
        std::string before = state_of(origin);
        int before_seen = 0;
        int after_seen = 0;
        std::string after;
        for (int kill_at = 0;; ++kill_at) {
            ASSERT_LT(kill_at, 500) << "it never comes to its end";
            TempDir dir;
            std::filesystem::copy(
                origin.path(), dir.path(), std::filesystem::copy_options::recursive
            );
            bool killed = killed_at(kill_at, [&](auto arm) {
                Started started(dir);
                arm();
                change(started);
                disk_steps_left = -1;
            });
            std::string found = state_of(dir);
            if (found == before) {
                ++before_seen;
                EXPECT_EQ(after_seen, 0) << "what had been kept was lost by a later kill";
            } else {
                if (after.empty()) after = found;
                EXPECT_EQ(found, after) << "neither before nor after, killed at step " << kill_at;
                ++after_seen;
            }
            if (!killed) break;
        }
        EXPECT_GT(before_seen, 0) << "no step came before the end of the transaction";
        EXPECT_GT(after_seen, 0);
    }
};

TEST_F(CrashTest, AnEditIsThereOrNot) {
    kill_at_every_step([](Started& started) {
        v1::EditConfigRequest request;
        v1::TargetEdit& target = *request.mutable_set_target();
        target.set_pattern("solo");
        target.set_provider("beta");
        target.set_priority(2);
        if (!started.plane->edit_config(request)) std::abort();
    });
}

TEST_F(CrashTest, AnOverrideIsThereOrNot) {
    kill_at_every_step([](Started& started) {
        v1::SetProviderEnabledRequest request;
        request.set_name("alpha");
        if (!started.plane->set_provider_enabled(request)) std::abort();
    });
}

}  // namespace
}  // namespace balancer::controlplane
