#include "controlplane/http/oauth_status.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>

#include "base/redact.hpp"

namespace balancer::controlplane {
namespace {

using Json = nlohmann::ordered_json;

// As the original counts them.
constexpr Milliseconds kExpired{300'000};
constexpr Milliseconds kExpiringSoon{900'000};

Json seconds(UnixMs at) {
    return at == 0 ? Json(nullptr) : Json(at / 1000);
}

Json share(const std::optional<double>& value) {
    return value ? Json(*value) : Json(nullptr);
}

Json window_json(const Account& account) {
    if (account.use.status.empty()) return nullptr;
    return Json{
        {"status", account.use.status},
        {"window", account.use.claim},
        {"reset", seconds(account.use.reset)},
        {"five_hour", {{"used", share(account.use.five_hour)}, {"reset", seconds(account.use.five_hour_reset)}}},
        {"seven_day", {{"used", share(account.use.seven_day)}, {"reset", seconds(account.use.seven_day_reset)}}},
        {"told_at", seconds(account.use_at)},
    };
}

std::uint64_t attempts_of(const ControlPlane& control_plane, const Account& account) {
    std::uint64_t sum = 0;
    for (const std::string& provider : control_plane.providers_of(account.name)) {
        sum += control_plane.merger().totals(provider + "/" + account.name).attempts();
    }
    return sum;
}

Json held_models(const Account& account, UnixMs now) {
    Json held = Json::array();
    for (const FamilyHold& hold : account.family_holds) {
        if (hold.until > now) held.push_back(Json{{"family", hold.family}, {"until", seconds(hold.until)}});
    }
    return held;
}

const char* state_words(const Account& account, UnixMs now) {
    switch (state_of(account)) {
        case LoginState::kNeedsLogin: return "needs_login";
        case LoginState::kRefreshing: return "refreshing";
        case LoginState::kUncertain: return "uncertain";
        case LoginState::kOk: break;
    }
    return is_usable(account, now) ? "ok" : "expired";
}

Json token_json(const ControlPlane& control_plane, const Account& account, int index, UnixMs now) {
    Milliseconds left(account.expires_at - now);
    bool expired = left < kExpired;
    UnixMs used_at = control_plane.last_used(account);
    return Json{
        {"account_email", account.name},
        {"index", index},
        {"is_current", false},
        {"created_at", account.logged_in_at / 1000},
        {"expires_at", account.expires_at / 1000},
        {"expires_in_seconds", left.count() / 1000},
        {"expires_in_minutes", std::round(static_cast<double>(left.count()) / 6000.0) / 10.0},
        {"expires_in_human", duration_words(left)},
        {"is_expired", expired},
        {"is_healthy", !expired && is_usable(account, now)},
        {"will_expire_soon", left < kExpiringSoon},
        {"access_token_preview", "sha256:" + fingerprint(account.access_token.view())},
        {"refresh_token_preview", account.refresh_token.empty() ? "none" : "sealed"},
        {"scopes", account.scopes},
        {"scope_count", account.scopes.size()},
        {"usage_count", attempts_of(control_plane, account)},
        {"last_used", used_at == 0 ? "Never" : duration_words(std::max(Milliseconds(now - used_at), Milliseconds(1000))) + " ago"},
        {"last_used_timestamp", seconds(used_at)},
        {"account_name", account.organization},
        {"email", account.email},
        {"state", state_words(account, now)},
        {"problem", account.problem},
        {"generation", account.generation},
        {"token_age_seconds", (now - account.issued_at) / 1000},
        {"refresh_due", seconds(control_plane.custody().refresh_due(account).value_or(0))},
        {"last_refresh", {{"at", seconds(account.last_refresh_at)}, {"result", account.last_refresh}}},
        {"refreshes", account.refreshes},
        {"windows", window_json(account)},
        {"held_until", account.held_until > now ? seconds(account.held_until) : Json(nullptr)},
        {"held_models", held_models(account, now)},
        {"headroom_percent", account.headroom},
        {"providers", control_plane.providers_of(account.name)},
    };
}

}  // namespace

std::string duration_words(Milliseconds left) {
    std::int64_t total = left.count() / 1000;
    if (total <= 0) return "ended";
    if (total < 60) return fmt::format("{}s", total);
    if (total < 3600) return fmt::format("{}m {}s", total / 60, total % 60);
    if (total < 86'400) return fmt::format("{}h {}m", total / 3600, total % 3600 / 60);
    return fmt::format("{}d {}h", total / 86'400, total % 86'400 / 3600);
}

Json oauth_status_json(const ControlPlane& control_plane, UnixMs now) {
    Json tokens = Json::array();
    unsigned healthy = 0;
    unsigned expired = 0;
    unsigned soon = 0;
    Json active = nullptr;
    for (const Account* account : control_plane.custody().accounts()) {
        Json token = token_json(control_plane, *account, static_cast<int>(tokens.size()), now);
        if (token["is_healthy"]) ++healthy;
        if (token["is_expired"]) ++expired;
        if (token["will_expire_soon"]) ++soon;
        if (active.is_null() && token["is_healthy"]) {
            active = Json{
                {"account_email", token["account_email"]},
                {"expires_in_human", token["expires_in_human"]},
                {"is_healthy", true},
                {"scopes", token["scopes"]},
            };
        }
        tokens.push_back(std::move(token));
    }
    Json problems = Json::array();
    for (const std::string& problem : control_plane.custody().problems()) problems.push_back(problem);
    return Json{
        {"system",
         {{"oauth_manager_status", "active"},
          {"current_time", now / 1000},
          {"current_time_iso", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(now / 1000)))},
          {"timezone", "UTC"},
          {"kept_on_disk", control_plane.custody().is_durable()},
          {"problems", std::move(problems)}}},
        {"summary",
         {{"total_tokens", tokens.size()},
          {"healthy_tokens", healthy},
          {"expired_tokens", expired},
          {"expiring_soon", soon},
          {"current_token_index", nullptr},
          {"rotation_enabled", false}}},
        {"active_token", std::move(active)},
        {"tokens", std::move(tokens)},
    };
}

}  // namespace balancer::controlplane
