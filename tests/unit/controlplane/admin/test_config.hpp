// Configurations for the control plane's tests, and a store in memory.
#pragma once

#include <map>
#include <string>

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

// Remembers while it lives; fails when told to.
class MemoryStore final : public controlplane::Store {
  public:
    const controlplane::StoreIdentity& identity() const override { return identity_; }
    Result<std::vector<controlplane::Override>> overrides() const override {
        std::vector<controlplane::Override> all;
        for (const auto& [name, entry] : rows) all.push_back(entry);
        return all;
    }
    Result<void> put_override(const controlplane::Override& row) override {
        if (broken) return invalid("disk full");
        rows[row.provider] = row;
        return {};
    }
    Result<void> drop_override(std::string_view provider) override {
        if (broken) return invalid("disk full");
        rows.erase(std::string(provider));
        return {};
    }

    std::map<std::string, controlplane::Override> rows;
    bool broken = false;

  private:
    controlplane::StoreIdentity identity_{"store-1", 7};
};

}  // namespace balancer::test
