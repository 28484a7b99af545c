#include "base/process_shield.hpp"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace balancer {
namespace {

TEST(ProcessShield, ForbidsCoreFilesAndDebuggersAndTraces) {
    ::setenv("GRPC_TRACE", "all", 1);
    pid_t child = ::fork();
    if (child == 0) {
        bool shielded = shield_process();
        rlimit core{1, 1};
        ::getrlimit(RLIMIT_CORE, &core);
        bool good = shielded && ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && core.rlim_cur == 0 && core.rlim_max == 0 &&
                    std::getenv("GRPC_TRACE") == nullptr;
        ::_exit(good ? 0 : 1);
    }
    ::unsetenv("GRPC_TRACE");
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_EQ(::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1) << "else the child proved nothing";
}

}  // namespace
}  // namespace balancer
