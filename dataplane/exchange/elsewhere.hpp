// An answer that another thread makes, awaited on a worker.
#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.hpp"
#include "base/net.hpp"

namespace balancer::dataplane {

// Lives on one worker, inside of one coroutine. Who answers late may outlive it, not the worker's io_context.
template <class Answer>
class Elsewhere {
  public:
    explicit Elsewhere(net::io_context& context)
        : context_(context), state_(std::make_shared<State>(context)) {}

    // To be called once, on any thread.
    std::function<void(Answer)> taker() const {
        return [state = state_, executor = context_.get_executor()](Answer answer) {
            net::post(executor, [state, moved = std::move(answer)]() mutable {
                state->answer = std::move(moved);
                state->timer.cancel();
            });
        };
    }

    // Returns when the answer is there, at `until` at the latest.
    net::awaitable<void> wait(SteadyTime until) {
        while (!state_->answer && steady_now() < until) {
            state_->timer.expires_at(until);
            co_await state_->timer.async_wait(kNoThrow);
        }
    }

    std::optional<Answer>& answer() { return state_->answer; }

  private:
    struct State {
        explicit State(net::io_context& context) : timer(context) {}
        net::steady_timer timer;
        std::optional<Answer> answer;
    };
    net::io_context& context_;
    std::shared_ptr<State> state_;
};

}  // namespace balancer::dataplane
