// The sealed store in the SQLite database, and the custody of its keys.
#pragma once

#include <functional>

#include "controlplane/secrets/key_custody.hpp"
#include "controlplane/secrets/sealed_store.hpp"
#include "controlplane/secrets/sealer.hpp"
#include "controlplane/store/sqlite_handle.hpp"

namespace balancer::controlplane {

// Runs its work in one transaction, which is refused when another process has opened the store since.
using FencedTransaction = std::function<Result<void>(const std::function<Result<void>()>& work)>;

// Part of the SqliteStore, which outlives it and whose database and sealer it uses.
class SqliteSealedStore final : public SealedStore {
  public:
    SqliteSealedStore(SqliteDatabase& database, Sealer& sealer, FencedTransaction fenced)
        : database_(database), sealer_(sealer), fenced_(std::move(fenced)) {}

    Result<std::optional<SealedRecord>> get(SealedKind kind, std::string_view name) const override;
    Result<std::vector<SealedEntry>> list(SealedKind kind) const override;
    Result<std::uint64_t> put(
        SealedKind kind, std::string_view name, std::string_view content, std::uint64_t if_generation
    ) override;
    Result<void> erase(SealedKind kind, std::string_view name, std::uint64_t if_generation) override;

  private:
    Result<void> replace(
        SealedKind kind,
        std::string_view name,
        std::uint64_t if_generation,
        const std::function<Result<void>()>& change
    );

    SqliteDatabase& database_;
    Sealer& sealer_;
    FencedTransaction fenced_;
};

// As SqliteSealedStore.
class SqliteKeyCustody final : public KeyCustody {
  public:
    SqliteKeyCustody(SqliteDatabase& database, Sealer& sealer, FencedTransaction fenced)
        : database_(database), sealer_(sealer), fenced_(std::move(fenced)) {}

    Result<std::vector<KeyUse>> keys() const override;
    Result<std::vector<SealedProblem>> problems() const override;
    Result<Rewrapped> rewrap() override;
    Result<Rewrapped> rotate() override;
    Result<void> retire(std::string_view id) override;

  private:
    Result<bool> all_active() const;
    Result<void> note_active();

    SqliteDatabase& database_;
    Sealer& sealer_;
    FencedTransaction fenced_;
};

}  // namespace balancer::controlplane
