// Keeps the memory of a process that holds secrets from other processes of its user, and out of core files.
#pragma once

namespace balancer {

// PR_SET_DUMPABLE 0 (no core file whatever the limits and the core pattern say, no ptrace, and /proc/PID/mem, environ
// and fd are root's) and RLIMIT_CORE 0; gRPC's traces, which show what it sends and gets, are switched off. Called
// first thing in main, before a secret is read and before a thread begins. False: the system refused one of them.
bool shield_process();

}  // namespace balancer
