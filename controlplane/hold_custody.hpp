// What providers have said of their accounts: when it is written.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "controlplane/health/account_hold.hpp"
#include "controlplane/store/store.hpp"

namespace balancer::controlplane {

// Lives on the control plane's loop; the store writes holds on a thread of its own, since an fsync may take seconds and
// nobody's health is to wait for it. One write is under way at a time, and what changes meanwhile goes into the next. The
// loop, the log and the store outlive this.
class HoldCustody {
  public:
    enum class When {
        kSoon,    // many limits may come and go in a second: the next keep() after a while writes it
        kAtOnce,  // an operator's word
    };

    HoldCustody(boost::asio::io_context& loop, Log& log, Store& store);
    ~HoldCustody();  // waits until what was begun is written

    // As they stand in the store. Nothing is written before: a start that fails must not forget them.
    void start(std::vector<AccountHold> kept);

    // What is held now. Called at least once a second, so that what could not be written is tried again.
    void keep(std::vector<AccountHold> holds, When when = When::kSoon);

    // The last of them; written by the time that this is destroyed.
    void stop(std::vector<AccountHold> holds);

  private:
    // What both threads use.
    struct Disk;

    bool is_news() const { return lost_ || wanted_ != handed_; }
    void write();
    void written(bool kept);

    boost::asio::io_context& loop_;
    std::unique_ptr<Disk> disk_;
    std::vector<AccountHold> wanted_;
    std::vector<AccountHold> handed_;  // the last that the disk was given
    bool writing_ = false;
    bool at_once_ = false;       // what is wanted does not wait
    bool lost_ = false;          // the last write failed
    SteadyTime written_at_{};    // when it was begun
    bool running_ = false;
    std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // seen by what the disk posts
};

}  // namespace balancer::controlplane
