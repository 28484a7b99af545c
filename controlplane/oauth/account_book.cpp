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
        entries_.insert_or_assign(listed.name, Entry{std::move(*account), store_, (*record)->generation, {}});
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

Result<std::uint64_t> AccountBook::write(SealedStore& store, const Account& account, std::uint64_t sealed) {
    std::string record = to_record(account);
    Result<std::uint64_t> written = store.put(kKind, account.name, record, sealed);
    if (!written && is(written.error(), SealedErrc::kConflict)) {
        // A record that could not be read at the start, say: what comes now is newer.
        if (Result<std::vector<SealedEntry>> list = store.list(kKind)) {
            auto stored = std::find_if(list->begin(), list->end(), [&](const auto& one) { return one.name == account.name; });
            written = store.put(kKind, account.name, record, stored == list->end() ? 0 : stored->generation);
        }
    }
    wipe(record);
    return written;
}

Result<void> AccountBook::put(Account account) {
    const std::string name = account.name;
    Entry* known = find(name);
    if (known == nullptr && entries_.size() >= kAccountsMax) {
        return invalid(fmt::format("there are {} accounts already: log out of one first", kAccountsMax));
    }
    SealedStore* store = known == nullptr ? store_ : known->store;
    Result<std::uint64_t> written = write(*store, account, known == nullptr ? 0 : known->sealed);
    Entry& entry = known == nullptr ? entries_[name] : *known;
    entry.store = store;
    if (written) {
        entry.account = std::move(account);
        entry.sealed = *written;
        entry.unsaved.reset();
        unreadable_.erase(name);  // written over
        return {};
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
    Result<std::optional<SealedRecord>> record = known->store->get(kKind, name);
    if (!record || !*record || (*record)->generation == known->sealed) return std::nullopt;
    Result<Account> account = from_record((*record)->content.view());
    if (!account) return std::nullopt;
    known->sealed = (*record)->generation;
    return std::move(*account);
}

Result<bool> AccountBook::erase(const std::string& name) {
    Entry* known = find(name);
    if (known == nullptr) return erase_unreadable(name);
    if (known->sealed != 0) {
        Result<void> erased = known->store->erase(kKind, name, known->sealed);
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
    Result<std::uint64_t> written = write(*store_, account, 0);
    if (!written) return written.error();
    if (entry.sealed != 0) {
        Result<void> erased = entry.store->erase(kKind, account.name, entry.sealed);
        // Killed here, the process leaves both, and they are the same.
        if (!erased && !is(erased.error(), SealedErrc::kConflict)) {
            Result<void> undone = store_->erase(kKind, account.name, *written);
            (void)undone;  // the next try writes over it
            return erased;
        }
    }
    entry.account = std::move(account);
    entry.store = store_;
    entry.sealed = *written;
    entry.unsaved.reset();
    return {};
}

}  // namespace balancer::controlplane
