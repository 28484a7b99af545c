// Whether what is to be published fits into one message.
#pragma once

#include <cstddef>

#include "balancer/v1/config.pb.h"
#include "base/result.hpp"
#include "model/protocol.hpp"

namespace balancer::controlplane {

// CONFIG and CREDENTIALS go to a data plane in one message, with HEALTH, which has the rest of it.
inline constexpr std::size_t kPublishedBytesMax = kSyncMessageBytesMax - (4U << 20);

// An error says what is too large, in words for whoever wrote it. `config` as it is published: a provider with accounts stands
// in it once for each of them, with all that it has.
Result<void> check_published_size(const v1::ConfigSection& config, const v1::CredentialSection& credentials);

}  // namespace balancer::controlplane
