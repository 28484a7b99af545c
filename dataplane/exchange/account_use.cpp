#include "dataplane/exchange/account_use.hpp"

#include <charconv>
#include <cmath>

namespace balancer::dataplane {
namespace {

constexpr std::size_t kWordMax = 64;
constexpr double kShareNews = 0.01;
constexpr double kUnixSecondsMax = 1e11;

std::optional<double> number_of(const wire::ResponseHead& head, std::string_view name) {
    auto text = wire::find_field(head.fields, name);
    if (!text) return std::nullopt;
    double value = 0;
    auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (problem != std::errc() || end != text->data() + text->size() || !std::isfinite(value) || value < 0) {
        return std::nullopt;
    }
    return value;
}

// Seconds since 1970.
UnixMs time_of(const wire::ResponseHead& head, std::string_view name) {
    std::optional<double> seconds = number_of(head, name);
    return seconds && *seconds < kUnixSecondsMax ? static_cast<UnixMs>(*seconds * 1000) : 0;
}

std::string word_of(const wire::ResponseHead& head, std::string_view name) {
    auto text = wire::find_field(head.fields, name);
    if (!text || text->size() > kWordMax) return {};
    return std::string(*text);
}

bool moved(const std::optional<double>& a, const std::optional<double>& b) {
    if (a.has_value() != b.has_value()) return true;
    return a && std::abs(*a - *b) >= kShareNews;
}

}  // namespace

AccountUse read_account_use(const wire::ResponseHead& head) {
    AccountUse use;
    use.status = word_of(head, "anthropic-ratelimit-unified-status");
    if (use.status.empty()) return use;
    use.claim = word_of(head, "anthropic-ratelimit-unified-representative-claim");
    use.reset = time_of(head, "anthropic-ratelimit-unified-reset");
    use.five_hour = number_of(head, "anthropic-ratelimit-unified-5h-utilization");
    use.five_hour_reset = time_of(head, "anthropic-ratelimit-unified-5h-reset");
    use.seven_day = number_of(head, "anthropic-ratelimit-unified-7d-utilization");
    use.seven_day_reset = time_of(head, "anthropic-ratelimit-unified-7d-reset");
    return use;
}

bool AccountUseNews::is_news(ProviderSlot slot, const AccountUse& use) {
    if (use.status.empty()) return false;
    if (told_.size() <= slot.value()) told_.resize(slot.value() + 1);
    AccountUse& told = told_[slot.value()];
    bool news = told.status != use.status || told.claim != use.claim || told.reset != use.reset ||
                moved(told.five_hour, use.five_hour) || moved(told.seven_day, use.seven_day);
    if (news) told = use;
    return news;
}

}  // namespace balancer::dataplane
