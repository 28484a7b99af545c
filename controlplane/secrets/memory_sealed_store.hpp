// A sealed store that ends with the process: for `oauth.enable_persistence: false`.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "controlplane/secrets/sealed_store.hpp"

namespace balancer::controlplane {

// Keeps the contents in memory, wiped when they are replaced, erased or at the end; nothing is encrypted, since the key
// would lie beside it. Never locked, never tampered with, no kIo.
class MemorySealedStore final : public SealedStore {
  public:
    Result<std::optional<SealedRecord>> get(SealedKind kind, std::string_view name) const override;
    Result<std::vector<SealedEntry>> list(SealedKind kind) const override;
    Result<std::uint64_t> put(
        SealedKind kind, std::string_view name, std::string_view content, std::uint64_t if_generation
    ) override;
    Result<void> erase(SealedKind kind, std::string_view name, std::uint64_t if_generation) override;

  private:
    std::map<std::pair<SealedKind, std::string>, SealedRecord> records_;
    std::uint64_t newest_ = 0;
};

}  // namespace balancer::controlplane
