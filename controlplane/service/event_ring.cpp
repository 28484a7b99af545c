#include "controlplane/service/event_ring.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/utf8.hpp"

namespace balancer::controlplane {
namespace {

// A refused file can have a long list of problems; the log has all of it.
constexpr std::size_t kMessageMax = 2'048;
constexpr std::size_t kValueMax = 1'024;

std::string cut(std::string_view text, std::size_t bytes_max) {
    std::string kept(utf8_prefix(text, bytes_max));
    // What came from outside may be no UTF-8 at all, and protobuf would refuse to send it.
    std::string quoted;
    append_json_string(quoted, kept);
    if (quoted.find("\xEF\xBF\xBD") != std::string::npos) {
        for (char& c : kept) c = static_cast<unsigned char>(c) < 0x80 ? c : '?';
    }
    if (kept.size() < text.size()) kept += "…";
    return kept;
}

struct Id {
    std::uint64_t epoch = 0;
    std::uint64_t number = 0;
};

std::optional<Id> parse(std::string_view text) {
    Id id;
    std::size_t dash = text.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    auto read = [](std::string_view digits, std::uint64_t& into) {
        auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), into);
        return problem == std::errc() && end == digits.data() + digits.size();
    };
    if (!read(text.substr(0, dash), id.epoch) || !read(text.substr(dash + 1), id.number)) {
        return std::nullopt;
    }
    return id;
}

}  // namespace

EventRing::EventRing(std::uint64_t epoch, std::size_t events_max)
    : epoch_(epoch), events_max_(events_max) {}

void EventRing::append(const LogRecord& record) {
    v1::Event event;
    event.set_at_ms(record.at);
    event.set_level(std::string(name_of(record.level)));
    event.set_type(std::string(name_of(record.event)));
    event.set_message(cut(record.message, kMessageMax));
    for (const auto& [name, value] : record.fields) {
        v1::EventField& field = *event.add_fields();
        field.set_name(name);
        field.set_value(cut(value, kValueMax));
    }
    std::lock_guard lock(mutex_);
    event.set_id(fmt::format("{}-{}", epoch_, first_ + events_.size()));
    events_.push_back(std::move(event));
    if (events_.size() > events_max_) {
        events_.pop_front();
        ++first_;
    }
    if (tell_ && !std::exchange(told_, true)) tell_();
}

void EventRing::on_news(std::function<void()> tell) {
    std::lock_guard lock(mutex_);
    tell_ = std::move(tell);
    told_ = false;
}

void EventRing::news_seen() {
    std::lock_guard lock(mutex_);
    told_ = false;
}

Result<EventRing::Place> EventRing::place(const std::string& since) const {
    std::lock_guard lock(mutex_);
    if (since.empty()) return Place{first_, std::nullopt};
    std::optional<Id> id = parse(since);
    if (!id) {
        return invalid(fmt::format("'{}' is not the id of an event, which looks like 3-17", since));
    }
    bool given_out =
        id->epoch < epoch_ || (id->epoch == epoch_ && id->number < first_ + events_.size());
    if (!given_out) return invalid(fmt::format("there is no event {} yet", since));
    if (id->epoch == epoch_) return Place{id->number + 1, std::nullopt};
    v1::EventGap gap;
    gap.set_detail(fmt::format(
        "the control plane has been started anew since (epoch {}, now {}): what came after the "
        "event is in its log only",
        id->epoch,
        epoch_
    ));
    return Place{1, std::move(gap)};
}

std::optional<v1::WatchEventsResponse> EventRing::next(
    Place& place, const std::set<std::string, std::less<>>& types
) const {
    v1::WatchEventsResponse response;
    if (place.gap) {
        *response.mutable_gap() = *std::exchange(place.gap, std::nullopt);
        return response;
    }
    std::lock_guard lock(mutex_);
    if (place.next < first_) {
        std::uint64_t dropped = first_ - place.next;
        place.next = first_;
        response.mutable_gap()->set_dropped(dropped);
        response.mutable_gap()->set_detail(fmt::format(
            "{} event{} dropped: they were forgotten before they could be sent",
            dropped,
            dropped == 1 ? " was" : "s were"
        ));
        return response;
    }
    for (; place.next < first_ + events_.size(); ++place.next) {
        const v1::Event& event = events_[place.next - first_];
        if (!types.empty() && !types.contains(event.type())) continue;
        ++place.next;
        *response.mutable_event() = event;
        return response;
    }
    return std::nullopt;
}

}  // namespace balancer::controlplane
