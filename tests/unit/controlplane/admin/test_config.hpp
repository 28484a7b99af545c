// Configurations for the control plane's tests, and a store in memory.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/secrets/memory_sealed_store.hpp"
#include "controlplane/store/store.hpp"

namespace balancer::test {

// Secrets that must never be shown.
inline constexpr const char* kCanaryKey = "sk-canary-key-0123456789";
inline constexpr const char* kCanaryProxy = "canaryproxypassword";
inline constexpr const char* kCanaryHeader = "canary-header-value";
inline constexpr const char* kCanaryClient = "canary-client-key";

// alpha and beta are enabled, gamma is not.
inline std::string config_yaml() {
    return std::string(R"(providers:
  - name: alpha
    type: anthropic
    base_url: http://127.0.0.1:7001
    auth_type: api_key
    auth_value: )") +
           kCanaryKey + R"(
    headers:
      x-extra: )" +
           kCanaryHeader + R"(
  - name: beta
    type: anthropic
    base_url: https://beta.example.com
    auth_type: auth_token
    auth_value: )" +
           kCanaryKey + R"(2
    proxy: http://joe:)" +
           kCanaryProxy + R"(@127.0.0.1:3128
  - name: gamma
    type: anthropic
    base_url: http://127.0.0.1:7003
    auth_type: api_key
    auth_value: passthrough
    enabled: false
model_routes:
  "*sonnet*":
    - {provider: alpha, model: passthrough, priority: 1}
    - {provider: beta, model: big, priority: 2}
  "solo":
    - {provider: alpha, model: small, priority: 1}
settings:
  log_level: ERROR
  unhealthy_threshold: 2
  failure_cooldown: 600
  auth:
    enabled: true
    api_key: )" +
           kCanaryClient + "\n";
}

inline std::string replaced(std::string text, const std::string& what, const std::string& by) {
    std::size_t at = text.find(what);
    if (at != std::string::npos) text.replace(at, what.size(), by);
    return text;
}

// Keys for records that are not sealed: nothing to rotate.
class NoKeys final : public controlplane::KeyCustody {
  public:
    Result<std::vector<controlplane::KeyUse>> keys() const override {
        return std::vector<controlplane::KeyUse>{{"0011223344556677", controlplane::KeySource::kFile, true, 1, {}}};
    }
    Result<std::vector<controlplane::SealedProblem>> problems() const override {
        return std::vector<controlplane::SealedProblem>();
    }
    Result<controlplane::Rewrapped> rewrap() override { return controlplane::Rewrapped(); }
    Result<controlplane::Rewrapped> rotate() override { return invalid("there are no keys"); }
    Result<void> retire(std::string_view) override { return invalid("there are no keys"); }
};

// Remembers while it lives; fails when told to.
class MemoryStore final : public controlplane::Store {
  public:
    using Revision = controlplane::Revision;

    const controlplane::StoreIdentity& identity() const override { return identity_; }
    Result<std::optional<Revision>> head() const override {
        if (revisions.empty()) return std::optional<Revision>();
        return std::optional<Revision>(revisions.back());
    }
    Result<std::optional<Revision>> revision(std::uint64_t number) const override {
        for (const Revision& each : revisions) {
            if (each.number == number) return std::optional<Revision>(each);
        }
        return std::optional<Revision>();
    }
    Result<std::vector<Revision>> history(std::size_t count) const override {
        std::vector<Revision> all(revisions.rbegin(), revisions.rend());
        if (all.size() > count) all.resize(count);
        return all;
    }
    Result<std::optional<std::string>> text(std::string_view yaml_sha256) const override {
        for (const Revision& each : revisions) {
            if (each.yaml_sha256 == yaml_sha256) return std::optional<std::string>(each.yaml);
        }
        return std::optional<std::string>();
    }
    Result<std::uint64_t> append(const Revision& next) override {
        if (broken) return invalid("disk full");
        revisions.push_back(next);
        revisions.back().number = next.parent + 1;
        return revisions.back().number;
    }
    Result<void> set_head_file(std::string_view file_sha256) override {
        if (broken) return invalid("disk full");
        revisions.back().file_sha256 = file_sha256;
        return {};
    }

    // From another thread, as a store is used.
    Result<void> keep_holds(const std::vector<controlplane::AccountHold>& holds) override {
        std::unique_lock lock(holds_mutex_);
        ++holds_begun_;
        holds_changed_.notify_all();
        holds_changed_.wait(lock, [this] { return !disk_hangs_; });
        if (broken) return invalid("disk full");
        kept_holds_ = holds;
        ++holds_written_;
        holds_changed_.notify_all();
        return {};
    }
    Result<std::vector<controlplane::AccountHold>> holds() const override { return kept_holds(); }

    std::vector<controlplane::AccountHold> kept_holds() const {
        std::lock_guard lock(holds_mutex_);
        return kept_holds_;
    }
    int holds_written() const {
        std::lock_guard lock(holds_mutex_);
        return holds_written_;
    }
    // False: no write of holds has begun, or has been done, so often.
    bool await_holds_begun(int times) { return await(holds_begun_, times); }
    bool await_holds_written(int times) { return await(holds_written_, times); }
    void hang_disk(bool hangs) {
        std::lock_guard lock(holds_mutex_);
        disk_hangs_ = hangs;
        holds_changed_.notify_all();
    }

    controlplane::SealedStore& sealed() override { return sealed_; }
    controlplane::KeyCustody& keys() override { return keys_; }

    // What a store of an older release leaves: overrides, and no text.
    void inherit(std::vector<controlplane::Override> overrides) {
        revisions.emplace_back().overrides = std::move(overrides);
    }

    // Of the head.
    std::vector<controlplane::Override> overrides() const {
        return revisions.empty() ? std::vector<controlplane::Override>()
                                 : revisions.back().overrides;
    }

    std::vector<Revision> revisions;
    std::atomic<bool> broken = false;

  private:
    bool await(const int& count, int times) {
        std::unique_lock lock(holds_mutex_);
        return holds_changed_.wait_for(lock, std::chrono::seconds(20), [&] { return count >= times; });
    }

    mutable std::mutex holds_mutex_;
    std::condition_variable holds_changed_;
    std::vector<controlplane::AccountHold> kept_holds_;
    int holds_begun_ = 0;
    int holds_written_ = 0;
    bool disk_hangs_ = false;
    controlplane::StoreIdentity identity_{"store-1", 7};
    controlplane::MemorySealedStore sealed_;
    NoKeys keys_;
};

}  // namespace balancer::test
