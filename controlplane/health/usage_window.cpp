#include "controlplane/health/usage_window.hpp"

#include <algorithm>
#include <utility>

namespace balancer::controlplane {
namespace {

// Samples closer than this are one: counters may come with every burst of signals.
constexpr UnixMs kSampleGap = 1'000;

Usage usage_of(const v1::Counters& counters) {
    Usage usage{counters.attempts(), 0};
    for (const auto& [failure, count] : counters.failures()) {
        if (failure != v1::FAILURE_CLASS_CLIENT) usage.failures += count;
    }
    return usage;
}

}  // namespace

void UsageWindow::set_providers(std::set<std::string, std::less<>> names) {
    std::set<std::string, std::less<>> before = std::exchange(providers_, std::move(names));
    for (auto& [dp_id, process] : processes_) {
        // A process that had it once goes on counting where it was.
        for (const std::string& name : providers_) {
            if (!before.contains(name)) process.by_provider[name].unknown_base = true;
        }
        std::erase_if(process.by_provider, [this](const auto& item) {
            return !providers_.contains(item.first);
        });
    }
}

void UsageWindow::take(
    std::string_view dp_id,
    std::string_view instance_id,
    const google::protobuf::RepeatedPtrField<v1::Counters>& counters,
    UnixMs now
) {
    Process& process = processes_[std::string(dp_id)];
    bool known = process.instance_id == instance_id;
    if (!known) {
        process.instance_id = instance_id;
        for (auto& [provider, series] : process.by_provider) series.samples.clear();
    }
    for (const v1::Counters& told : counters) {
        if (!providers_.contains(told.provider())) continue;
        Series& series = process.by_provider[told.provider()];
        // Counters are told from the first use on.
        const bool from_zero = !std::exchange(series.unknown_base, false);
        if (known && from_zero && series.samples.empty()) series.samples.push_back({process.heard, {}});
        append(series, usage_of(told), now);
    }
    process.heard = now;
}

void UsageWindow::touch(std::string_view dp_id, std::string_view provider, UnixMs now) {
    if (!providers_.contains(provider)) return;
    Process& process = processes_[std::string(dp_id)];
    process.heard = now;
    process.by_provider[std::string(provider)].last_use = now;
}

void UsageWindow::append(Series& series, const Usage& total, UnixMs now) {
    std::deque<Sample>& samples = series.samples;
    Usage known = samples.empty() ? Usage() : samples.back().total;
    // Reports can overtake each other around a reconnect; counters only grow.
    Usage grown{std::max(known.attempts, total.attempts), std::max(known.failures, total.failures)};
    if (!samples.empty() && grown.attempts > known.attempts) series.last_use = now;
    bool close = samples.size() >= 2 && now - samples[samples.size() - 2].at < kSampleGap;
    if (close) {
        samples.back() = Sample{now, grown};
    } else {
        samples.push_back(Sample{now, grown});
    }
    while (samples.size() > 2 && samples[1].at <= now - kLength.count()) samples.pop_front();
}

Usage UsageWindow::recent(std::string_view dp_id, std::string_view provider, UnixMs now) const {
    auto process = processes_.find(dp_id);
    if (process == processes_.end()) return {};
    auto series = process->second.by_provider.find(provider);
    if (series == process->second.by_provider.end()) return {};
    const std::deque<Sample>& samples = series->second.samples;
    if (samples.empty() || samples.back().at <= now - kLength.count()) return {};
    auto base = samples.begin();
    while (std::next(base) != samples.end() && std::next(base)->at <= now - kLength.count()) ++base;
    return Usage{
        samples.back().total.attempts - base->total.attempts,
        samples.back().total.failures - base->total.failures,
    };
}

UnixMs UsageWindow::last_use(std::string_view dp_id, std::string_view provider) const {
    auto process = processes_.find(dp_id);
    if (process == processes_.end()) return 0;
    auto series = process->second.by_provider.find(provider);
    return series == process->second.by_provider.end() ? 0 : series->second.last_use;
}

void UsageWindow::shift(Milliseconds by) {
    for (auto& [dp_id, process] : processes_) {
        if (process.heard != 0) process.heard += by.count();
        for (auto& [provider, series] : process.by_provider) {
            if (series.last_use != 0) series.last_use += by.count();
            for (Sample& sample : series.samples) {
                if (sample.at != 0) sample.at += by.count();
            }
        }
    }
}

void UsageWindow::age(UnixMs now) {
    std::erase_if(processes_, [&](const auto& item) {
        return now - item.second.heard > kLength.count();
    });
}

}  // namespace balancer::controlplane
