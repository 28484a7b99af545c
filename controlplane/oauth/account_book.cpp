#include "controlplane/oauth/account_book.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace balancer::controlplane {
namespace {

constexpr SealedKind kKind = SealedKind::kOAuthAccount;

}  // namespace

Result<void> AccountBook::load() {
    Result<std::vector<SealedEntry>> list = store_->list(kKind);
    if (!list) return list.error();
    for (const SealedEntry& listed : *list) {
        auto unreadable = [&](std::string why) {
            unreadable_.insert_or_assign(listed.name, Unreadable{store_, listed.generation, std::move(why)});
        };
        Result<std::optional<SealedRecord>> record = store_->get(kKind, listed.name);
        if (!record) {
            unreadable(record.error().text());
            continue;
        }
        if (!*record) continue;
        Result<Account> account = from_record((*record)->content.view());
        if (!account || account->name != listed.name) {
            unreadable(account ? "it is another account's" : account.error().text());
            continue;
        }
        take(entries_[listed.name], std::move(*account), (*record)->generation);
        entries_[listed.name].store = store_;
    }
    return {};
}

std::vector<std::string> AccountBook::problems() const {
    std::vector<std::string> problems;
    for (const auto& [name, record] : unreadable_) {
        problems.push_back(fmt::format("account '{}' cannot be used: {}", name, record.why));
    }
    return problems;
}

Result<bool> AccountBook::erase_unreadable(const std::string& name) {
    auto found = unreadable_.find(name);
    if (found == unreadable_.end()) return false;
    Result<void> erased = found->second.store->erase(kKind, name, found->second.generation);
    if (!erased && !is(erased.error(), SealedErrc::kConflict)) return erased.error();
    unreadable_.erase(found);
    return true;
}

std::vector<std::string> AccountBook::names() const {
    std::vector<std::string> names;
    for (const auto& [name, entry] : entries_) names.push_back(name);
    for (const auto& [name, record] : unreadable_) {
        if (!entries_.contains(name)) names.push_back(name);
    }
    return names;
}

AccountBook::Entry* AccountBook::find(std::string_view name) {
    auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
}

const AccountBook::Entry* AccountBook::find(std::string_view name) const {
    auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
}

Result<AccountBook::Stored> AccountBook::read(const SealedStore& store, const std::string& name) {
    Result<std::optional<SealedRecord>> record = store.get(kKind, name);
    if (record && !*record) return Stored{};
    if (record) {
        Result<Account> account = from_record((*record)->content.view());
        if (!account || account->name != name) return Stored{(*record)->generation, {}};
        return Stored{(*record)->generation, std::move(*account)};
    }
    if (is(record.error(), SealedErrc::kIo)) return record.error();
    Result<std::vector<SealedEntry>> list = store.list(kKind);
    if (!list) return list.error();
    auto listed = std::find_if(list->begin(), list->end(), [&](const SealedEntry& one) { return one.name == name; });
    return Stored{listed == list->end() ? 0 : listed->generation, {}};
}

// `kept`: the generation of the token that is known to be on disk.
Result<AccountBook::Written> AccountBook::write(
    SealedStore& store, Account& account, std::uint64_t sealed, std::uint64_t kept
) {
    auto put = [&](std::uint64_t over) {
        std::string record = to_record(account);
        Result<std::uint64_t> written = store.put(kKind, account.name, record, over);
        wipe(record);
        return written;
    };
    Result<std::uint64_t> written = put(sealed);
    if (!written && is(written.error(), SealedErrc::kConflict)) {
        Result<Stored> stored = read(store, account.name);
        if (!stored) return stored.error();
        if (std::optional<Account>& other = stored->account) {
            const bool received = account.generation > kept;
            if (!received || other->issued_at > account.issued_at) return Written{stored->generation, std::move(other)};
            // Whoever has seen theirs must not take ours for it.
            if (other->access_token.view() != account.access_token.view()) {
                account.generation = std::max(account.generation, other->generation + 1);
                account.trust = std::max(account.trust, other->trust + 1);
            }
        }
        written = put(stored->generation);
    }
    if (!written) return written.error();
    return Written{*written, {}};
}

void AccountBook::take(Entry& entry, Account account, std::uint64_t sealed) {
    entry.kept = account.generation;
    entry.account = std::move(account);
    entry.sealed = sealed;
    entry.unsaved.reset();
}

Result<void> AccountBook::room_for(const std::string& name) const {
    if (entries_.size() < kAccountsMax || find(name) != nullptr) return {};
    return invalid(fmt::format(
        "there are {} accounts already: log out of one first{}",
        kAccountsMax,
        name.empty() ? ", or name the one that is to be logged in anew" : ""
    ));
}

Result<void> AccountBook::put(Account account) {
    const std::string name = account.name;
    Entry* known = find(name);
    if (known == nullptr) {
        if (Result<void> room = room_for(name); !room) return room;
    }
    SealedStore* store = known == nullptr ? store_ : known->store;
    Result<Written> written = write(*store, account, known == nullptr ? 0 : known->sealed, known == nullptr ? 0 : known->kept);
    Entry& entry = known == nullptr ? entries_[name] : *known;
    entry.store = store;
    if (written) {
        unreadable_.erase(name);  // written over, or readable again
        const bool gave_way = written->instead.has_value();
        take(entry, gave_way ? *std::move(written->instead) : std::move(account), written->sealed);
        if (!gave_way) return {};
        return sealed_error(SealedErrc::kConflict, "it was changed by somebody else meanwhile, and what stands there counts");
    }
    if (known == nullptr) {
        // Nothing to go on with meanwhile.
        entry.account = account.copy();
    }
    entry.unsaved = std::move(account);
    return written.error();
}

unsigned AccountBook::save_rest() {
    unsigned saved = 0;
    for (auto& [name, entry] : entries_) {
        if (entry.unsaved && put(std::move(*entry.unsaved))) ++saved;
    }
    return saved;
}

bool AccountBook::has_unsaved() const {
    return std::any_of(entries_.begin(), entries_.end(), [](const auto& item) {
        return item.second.unsaved.has_value();
    });
}

std::optional<Account> AccountBook::read_if_changed(std::string_view name) {
    Entry* known = find(name);
    if (known == nullptr) return std::nullopt;
    Result<Stored> stored = read(*known->store, known->account.name);
    if (!stored || !stored->account || stored->generation == known->sealed) return std::nullopt;
    known->sealed = stored->generation;
    known->kept = stored->account->generation;
    return std::move(stored->account);
}

Result<bool> AccountBook::erase(const std::string& name) {
    Entry* known = find(name);
    if (known == nullptr) return erase_unreadable(name);
    if (known->sealed != 0) {
        Result<void> erased = known->store->erase(kKind, name, known->sealed);
        if (!erased && is(erased.error(), SealedErrc::kConflict)) {
            // Whatever stands there now, it is of the account that is to go.
            Result<Stored> stored = read(*known->store, name);
            if (!stored) return stored.error();
            erased = stored->generation == 0 ? Result<void>() : known->store->erase(kKind, name, stored->generation);
        }
        if (!erased) return erased.error();
    }
    entries_.erase(name);
    return true;
}

Result<void> AccountBook::move_to(SealedStore& store) {
    store_ = &store;
    return move_rest();
}

Result<void> AccountBook::move_rest() {
    Result<void> all;
    for (auto& [name, entry] : entries_) {
        Result<void> moved = move(entry);
        if (!moved && all) all = moved;
    }
    return all;
}

bool AccountBook::is_moving() const {
    return std::any_of(entries_.begin(), entries_.end(), [this](const auto& item) { return item.second.store != store_; });
}

Result<void> AccountBook::move(Entry& entry) {
    if (entry.store == store_) return {};
    // What waits for the disk is what it has come to.
    Account account = (entry.unsaved ? *entry.unsaved : entry.account).copy();
    Result<Written> written = write(*store_, account, 0, 0);
    if (!written) return written.error();
    if (entry.sealed != 0) {
        Result<void> erased = entry.store->erase(kKind, account.name, entry.sealed);
        // Killed here, the process leaves both, and they are the same.
        if (!erased && !is(erased.error(), SealedErrc::kConflict)) {
            Result<void> undone = store_->erase(kKind, account.name, written->sealed);
            (void)undone;  // the next try writes over it
            return erased;
        }
    }
    take(entry, written->instead ? *std::move(written->instead) : std::move(account), written->sealed);
    entry.store = store_;
    return {};
}

}  // namespace balancer::controlplane
