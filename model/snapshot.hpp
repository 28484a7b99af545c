// Everything a request needs to know, compiled once per change and never changed after: providers, routes,
// settings and credentials of one version. Built off the workers by model/from_proto, posted to each.
#pragma once

#include <re2/re2.h>
#include <re2/set.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "model/capabilities.hpp"
#include "model/glob.hpp"
#include "model/health.hpp"
#include "model/ip_address.hpp"
#include "model/provider_slots.hpp"
#include "model/url.hpp"

namespace balancer {

// A total order inside one store.
struct SnapshotVersion {
    std::string store_uuid;
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
};

enum class ProviderType { kAnthropic, kOpenai };
enum class AuthType { kApiKey, kAuthToken, kPassthrough, kOauth };
enum class StreamingMode { kAuto, kDirect, kBackground };
enum class SelectionStrategy { kPriority, kRoundRobin, kRandom };
enum class StickyScope { kSession, kGlobal };
enum class FailoverMode { kImmediate, kOnUnhealthy };

// 0 means no limit.
struct Timeouts {
    Milliseconds connect{30'000};
    Milliseconds first_byte{120'000};
    Milliseconds idle{120'000};
    Milliseconds total{0};
    Milliseconds pool{30'000};
};

// A window of an account is used up: nothing is asked of it until the window's reset.
struct WindowHold {
    std::string family;  // of all models with this in their names; empty: of all
    UnixMs until = 0;
    std::string why;
};

// One header line to send, the value a secret.
struct Credential {
    std::string header_name;
    std::string header_value;
    std::uint64_t generation = 0;
    UnixMs expires_at = 0;  // 0: never
    bool usable = true;
    std::vector<WindowHold> holds = {};
    unsigned headroom = 100;  // percent of its windows that an account has left, never 0

    // The one that stands longest in the way of a request for `model`, as it is sent; null: none does.
    const WindowHold* held(std::string_view model, UnixMs now) const;
};

// Begins every mark that the balancer sets before a signature of thinking.
inline constexpr std::string_view kSignatureMark = "balancer-issuer-";

struct Provider {
    std::string name;
    ProviderSlot slot;
    ProviderType type = ProviderType::kAnthropic;
    AuthType auth_type = AuthType::kApiKey;
    Endpoint endpoint;
    std::optional<ProxySpec> proxy;
    std::optional<Credential> credential;  // none: passthrough, or not delivered yet
    StreamingMode streaming_mode = StreamingMode::kAuto;
    std::uint64_t background_bytes = 0;  // of a stream in background mode: what is longer is delivered while it comes
    std::uint32_t weight = 0;              // 0: not given
    Timeouts streaming_timeouts;
    Timeouts non_streaming_timeouts;
    std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
    std::uint32_t max_concurrency = 0;                         // 0: no limit
    std::string ca_pem;
    std::string etag;
    Capabilities capabilities;
    std::optional<std::vector<Glob>> beta_headers;  // tokens of anthropic-beta that pass; none given: all
    bool limited = false;         // of type anthropic, and takes less than everything
    std::string signature_mark;   // in front of its signatures at the client; empty: Anthropic's are let alone
    std::string account;          // of type oauth: whose access token it sends
    std::string group;            // and what the configuration calls it
    bool claude_code_only = false;
};

struct RouteTarget {
    const Provider* provider = nullptr;  // into the same snapshot
    std::string model;                   // empty: the client's own name
    int priority = 0;
};

// A target that serves nobody while this snapshot is in force: for words only.
struct LeftOutTarget {
    std::string provider;
    std::string model;  // as in RouteTarget
    std::string why;
};

struct Route {
    Glob pattern;
    std::vector<RouteTarget> targets;  // enabled ones, by priority, file order inside one
    std::vector<LeftOutTarget> left_out = {};  // in file order
};

struct ClientKey {
    std::string name;
    std::string sha256;  // 32 raw bytes
};

// Identical requests in flight share one upstream call.
struct DeduplicationSettings {
    bool enabled = false;
    bool include_max_tokens = false;  // another limit of tokens makes another request
    Milliseconds timeout{0};          // until the shared answer begins; 0: however long
    Milliseconds error_delay{0};      // how long a stream that broke is told to identical requests too
    Milliseconds replay_window{0};    // how long a whole answer is given to identical requests too
};

struct Settings {
    SelectionStrategy selection_strategy = SelectionStrategy::kPriority;
    StickyScope sticky_scope = StickyScope::kSession;
    Milliseconds sticky_duration{300'000};
    FailoverMode failover = FailoverMode::kImmediate;
    HealthPolicy health;
    std::vector<std::string> exception_patterns;   // lower case
    std::unique_ptr<const re2::RE2::Set> body_patterns;  // null: none
    std::vector<std::string> body_pattern_texts;
    std::unordered_set<unsigned> http_codes;

    std::uint64_t body_bytes = 64ULL << 20;
    std::uint64_t body_memory_bytes = 1ULL << 30;
    std::uint32_t header_bytes = 64U << 10;
    std::uint32_t connections = 10'000;
    std::uint32_t retry_budget_percent = 20;
    std::uint32_t retry_budget_min_per_s = 10;
    std::uint32_t panic_concurrency = 4;
    Milliseconds ping_interval{10'000};
    DeduplicationSettings deduplication;

    bool auth_enabled = false;
    std::vector<ClientKey> client_keys;
    std::unordered_set<std::string> exempt_paths;

    LogLevel log_level = LogLevel::kInfo;
    bool log_color = true;
    std::string log_file_path;
    bool log_bodies = false;

    std::string listen_host = "127.0.0.1";
    std::uint16_t listen_port = 9090;
    std::vector<AddressBlock> trusted_proxies;  // peers that are believed whom they ask for
    std::string app_name;
    std::string app_version;

    bool simulate_delay = false;
    Milliseconds delay{0};
    std::vector<std::string> delay_trigger_keywords;  // lower case
};

inline const WindowHold* Credential::held(std::string_view model, UnixMs now) const {
    const WindowHold* longest = nullptr;
    for (const WindowHold& hold : holds) {
        if (hold.until <= now || model.find(hold.family) == model.npos) continue;
        if (longest == nullptr || hold.until > longest->until) longest = &hold;
    }
    return longest;
}

// Immutable and shared by the workers. Raw pointers inside point into the snapshot itself: who follows them
// holds the shared_ptr.
struct Snapshot {
    SnapshotVersion version;
    std::uint64_t revision = 0;  // of the configuration; 0: not told
    std::vector<std::unique_ptr<const Provider>> providers;  // usable and enabled
    std::vector<Route> routes;                               // file order, those with a target
    std::vector<Route> deserted_routes;                      // those without: they match nothing
    std::unordered_map<std::string, std::size_t> exact_routes;  // model name -> index in routes
    Settings settings;
    bool mixes_issuers = false;  // thinking in a conversation may be of somebody whom others do not know

    const Provider* find_provider(std::string_view name) const {
        for (const auto& provider : providers) {
            if (provider->name == name) return provider.get();
        }
        return nullptr;
    }
};

}  // namespace balancer
