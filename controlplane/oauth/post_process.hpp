// Starts the process that posts (post_child), and waits for it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "base/result.hpp"
#include "controlplane/oauth/post_folder.hpp"
#include "controlplane/oauth/post_order.hpp"
#include "controlplane/oauth/post_program.hpp"

namespace balancer::controlplane {

// Runs on the caller's loop, until that process has ended; it stays alive when the caller does not. `lock` is handed over.
// The value is the sealed answer if it could not be written to the folder; empty: PostFolder::look tells. An error: nothing
// was posted.
//
// The order goes through a pipe, once the process has said that its memory is its own; of our environment it gets what TLS
// and names need. No other process of the user can read either.
boost::asio::awaitable<Result<std::string>> run_post_process(PostProgram program, OpenFile lock, PostOrder order);

}  // namespace balancer::controlplane
