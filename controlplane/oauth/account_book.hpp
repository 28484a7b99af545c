// The accounts, in memory and in the sealed store.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "controlplane/oauth/account.hpp"
#include "controlplane/secrets/sealed_store.hpp"

namespace balancer::controlplane {

// Lives on the control plane's loop, as the store does.
class AccountBook {
  public:
    static constexpr std::size_t kAccountsMax = 64;

    struct Entry {
        Account account;
        SealedStore* store = nullptr;      // where its record is
        std::uint64_t sealed = 0;          // the generation of its record; 0: it has none
        std::optional<Account> unsaved{};  // what `account` becomes once it is on disk
    };

    explicit AccountBook(SealedStore& store) : store_(&store) {}

    bool is_in(const Entry& entry, const SealedStore* store) const { return entry.store == store; }

    // Reads all records; those that cannot be read are left out.
    Result<void> load();

    // Why, in words, of those that are left out. One that is written over or erased is named no more.
    std::vector<std::string> problems() const;

    // All, those that cannot be read among them.
    std::vector<std::string> names() const;

    Entry* find(std::string_view name);
    const Entry* find(std::string_view name) const;
    std::map<std::string, Entry, std::less<>>& entries() { return entries_; }
    const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }

    // On disk first, then in memory. An error of the disk: it waits in `unsaved`, since a token that was received must not be
    // lost; save_rest() tries again.
    Result<void> put(Account account);

    // How many of those that wait could be written.
    unsigned save_rest();
    bool has_unsaved() const;

    // The stored record, if it is another one than was written last: somebody else has changed it.
    std::optional<Account> read_if_changed(std::string_view name);

    // Also one that cannot be read. True: there was one.
    Result<bool> erase(const std::string& name);

    // New records go to another store from now on, and the others go over, one by one. One that cannot, since the one store
    // does not take it or the other does not let it go, stays whole where it is, and what is put meanwhile goes there as well:
    // no store is left with an older one. The first error; move_rest() tries again.
    Result<void> move_to(SealedStore& store);
    Result<void> move_rest();
    bool is_moving() const;

  private:
    struct Unreadable {
        SealedStore* store = nullptr;
        std::uint64_t generation = 0;
        std::string why;
    };

    Result<void> move(Entry& entry);
    Result<bool> erase_unreadable(const std::string& name);
    static Result<std::uint64_t> write(SealedStore& store, const Account& account, std::uint64_t sealed);

    SealedStore* store_;
    std::map<std::string, Entry, std::less<>> entries_;
    std::map<std::string, Unreadable, std::less<>> unreadable_;
};

}  // namespace balancer::controlplane
