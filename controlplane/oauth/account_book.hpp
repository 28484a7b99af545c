// The accounts, in memory and in the sealed store.
#pragma once

#include <map>
#include <optional>
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
        std::uint64_t kept = 0;            // the generation of the access token in its record
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
    // Somebody else may have written the record meanwhile. Then a token that was just received goes over it, under a higher
    // number; anything else gives way: the error is kConflict, and the entry is what stands there.
    Result<void> put(Account account);

    // An error: another account would be one too many. `name` empty: it is not known yet which.
    Result<void> room_for(const std::string& name) const;

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

    // What stands in the store under a name.
    struct Stored {
        std::uint64_t generation = 0;  // of the record; 0: there is none
        std::optional<Account> account{};  // none: it cannot be read either
    };
    static Result<Stored> read(const SealedStore& store, const std::string& name);

    struct Written {
        std::uint64_t sealed = 0;
        std::optional<Account> instead{};  // what somebody else has written, and has not been written over
    };
    static Result<Written> write(SealedStore& store, Account& account, std::uint64_t sealed, std::uint64_t kept);
    static void take(Entry& entry, Account account, std::uint64_t sealed);

    SealedStore* store_;
    std::map<std::string, Entry, std::less<>> entries_;
    std::map<std::string, Unreadable, std::less<>> unreadable_;
};

}  // namespace balancer::controlplane
