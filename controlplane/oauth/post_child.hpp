// The process that posts a refresh token for a control plane, and keeps the answer whatever becomes of that one.
#pragma once

namespace balancer::controlplane {

// Where the lock of the attempt is open.
inline constexpr int kPostLockFd = 3;

// What it writes to stdout when its memory is its own and it waits for the order (PostOrder) on stdin. Behind it comes the
// sealed answer, if that could not be written to the folder.
inline constexpr char kPostReady = 'r';

// Takes the order, posts, keeps the answer, and ends the process. What systemctl stop or a terminal's Ctrl-C sends to
// everybody is ignored: it lives no longer than the request's timeout.
[[noreturn]] void run_post_child();

}  // namespace balancer::controlplane
