// The two formats in which clients and providers hold a conversation.
#pragma once

#include "model/snapshot.hpp"

namespace balancer::wire {

enum class Format {
    kAnthropic,  // the Messages API
    kOpenai,     // chat completions
};

inline Format format_of(const Provider& provider) {
    return provider.type == ProviderType::kOpenai ? Format::kOpenai : Format::kAnthropic;
}

}  // namespace balancer::wire
