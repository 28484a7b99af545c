// What answers tell of an account's windows, and when that is worth a report.
#pragma once

#include <vector>

#include "dataplane/wire/http_head.hpp"
#include "model/account_use.hpp"
#include "model/provider_slots.hpp"

namespace balancer::dataplane {

// An empty status: the answer tells nothing. Numbers that are none are left out.
AccountUse read_account_use(const wire::ResponseHead& head);

// One worker's memory of what it has told, so that not each answer becomes a report. One thread.
class AccountUseNews {
  public:
    // True when the status or the window is another one than was told last, or a share has moved by a hundredth. Remembers it.
    bool is_news(ProviderSlot slot, const AccountUse& use);

  private:
    std::vector<AccountUse> told_;  // by slot
};

}  // namespace balancer::dataplane
