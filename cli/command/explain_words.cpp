#include "cli/command/explain_words.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>
#include <vector>

#include "cli/words.hpp"

namespace balancer::cli {
namespace {

using Fate = v1::CandidateRecord;

// "rate_limited, 429"
std::string failure_words(const v1::CandidateRecord& candidate) {
    std::string words = class_words(static_cast<std::uint32_t>(candidate.failure()));
    if (candidate.http_status() != 0) words += fmt::format(", {}", candidate.http_status());
    return words;
}

// "alpha failed (overloaded, 529), gamma failed (connect)"; empty: nobody did.
std::string failures_of(const v1::RequestRecord& record) {
    std::vector<std::string> words;
    for (const v1::CandidateRecord& candidate : record.candidates()) {
        if (candidate.fate() != Fate::FAILED) continue;
        words.push_back(fmt::format("{} failed ({})", candidate.provider(), failure_words(candidate)));
    }
    return fmt::format("{}", fmt::join(words, ", "));
}

std::string client_got(const v1::RequestRecord& record) {
    if (record.status() == 0) return "the client got nothing";
    return fmt::format("the client got {}", record.status());
}

std::string end_words(const v1::RequestRecord& record) {
    const std::string& outcome = record.outcome();
    const std::string took = time_words(record.duration_ms());
    const std::string& who = record.provider();
    if (outcome == "ok") return fmt::format("{} answered with {}, {} in all", who, record.status(), took);
    if (outcome == "upstream_error") {
        return fmt::format("the answer of {}, an error, went to the client as it was ({})", who, record.status());
    }
    if (outcome == "no_route") return fmt::format("no route led to a provider; {}", client_got(record));
    if (outcome == "no_healthy_upstream") {
        return fmt::format("nobody was left who could serve it; {} after {}", client_got(record), took);
    }
    if (outcome == "retry_budget") {
        return fmt::format("the retry budget allowed no further attempt; {} after {}", client_got(record), took);
    }
    if (outcome == "stream_broken") {
        return fmt::format(
            "the answer of {} broke after {} of it had gone to the client, which was told to send again",
            who,
            size_words(record.bytes_out())
        );
    }
    if (outcome == "downstream_disconnect") {
        return record.bytes_out() > 0
                   ? fmt::format("the client went away after {}, with {} of the answer", took, size_words(record.bytes_out()))
                   : fmt::format("the client went away after {}, before there was an answer", took);
    }
    if (outcome == "unauthorized") return fmt::format("it came without a key that is known here; {}", client_got(record));
    if (outcome == "bad_request" || outcome == "too_large") {
        return fmt::format("it was refused before any provider was asked, as the client's fault; {}", client_got(record));
    }
    if (outcome == "overloaded") return fmt::format("this data plane had no room for it; {}", client_got(record));
    if (outcome == "not_ready") return fmt::format("this data plane had no configuration yet; {}", client_got(record));
    if (outcome == "local") return fmt::format("the balancer answered by itself with {}", record.status());
    if (outcome == "shutdown") return fmt::format("this data plane was stopped before its end; {}", client_got(record));
    return fmt::format("it ended as {}; {}", outcome, client_got(record));
}

const v1::CandidateRecord* under_way(const v1::RequestRecord& record) {
    for (const v1::CandidateRecord& candidate : record.candidates()) {
        if (candidate.fate() == Fate::UNDER_WAY) return &candidate;
    }
    return nullptr;
}

std::string bench_words(const v1::CandidateRecord& candidate, UnixMs now) {
    if (candidate.until_ms() == 0) return candidate.why();
    UnixMs left = candidate.until_ms() - now;
    std::string until = fmt::format(
        "benched until {:%H:%M:%S} UTC ({})",
        fmt::gmtime(static_cast<std::time_t>(candidate.until_ms() / 1000)),
        left > 0 ? duration_words(Milliseconds(left)) + " left" : "over by now"
    );
    return candidate.why().empty() ? until : until + ": " + candidate.why();
}

}  // namespace

std::string time_words(std::int64_t ms) {
    if (ms < 1'000) return fmt::format("{} ms", ms);
    if (ms < 120'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
    return fmt::format("{} min {} s", ms / 60'000, ms / 1000 % 60);
}

std::string size_words(std::uint64_t bytes) {
    if (bytes < 1'000) return fmt::format("{} B", bytes);
    if (bytes < 1'000'000) return fmt::format("{:.1f} kB", static_cast<double>(bytes) / 1e3);
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

std::string moment_words(UnixMs at, UnixMs now) {
    return fmt::format(
        "{:%Y-%m-%d %H:%M:%S} UTC ({})", fmt::gmtime(static_cast<std::time_t>(at / 1000)), ago(at, now)
    );
}

std::string story(const v1::RequestRecord& record) {
    std::string failed = failures_of(record);
    std::string words;
    if (!record.phase().empty()) {
        const v1::CandidateRecord* at = under_way(record);
        words = fmt::format(
            "it is under way for {} and {}{}",
            time_words(record.duration_ms()),
            record.phase(),
            at == nullptr ? std::string() : fmt::format(" (at {})", at->provider())
        );
        if (!failed.empty()) words = failed + ", and now " + words;
    } else {
        words = end_words(record);
        if (!failed.empty() && record.outcome() == "ok") words = failed + ", then " + words;
        else if (!failed.empty()) words = failed + "; " + words;
    }
    if (record.panic()) return "Every provider was benched, so all were tried all the same: " + words + ".";
    // A sentence of ours begins with a capital, the name of a provider stays as it is.
    bool name_first = !failed.empty() || (!record.provider().empty() && words.starts_with(record.provider()));
    if (!name_first && words[0] >= 'a' && words[0] <= 'z') words[0] = static_cast<char>(words[0] - 'a' + 'A');
    return words + ".";
}

Cell fate_words(const v1::CandidateRecord& candidate, UnixMs now) {
    std::string words;
    Tone tone = Tone::kPlain;
    switch (candidate.fate()) {
        case Fate::ANSWERED:
            words = "answered";
            tone = Tone::kGood;
            break;
        case Fate::FAILED:
            words = fmt::format(
                "failed: {}{}{}",
                failure_words(candidate),
                candidate.why().empty() ? "" : ": ",
                candidate.why()
            );
            tone = Tone::kBad;
            break;
        case Fate::LEFT_OUT:
            words = "left out: " + bench_words(candidate, now);
            tone = Tone::kWarn;
            break;
        case Fate::PASSED_OVER:
            words = "passed over: " + candidate.why();
            tone = Tone::kWarn;
            break;
        case Fate::UNDER_WAY:
            words = "under way";
            break;
        case Fate::BROKEN_OFF:
            words = "broken off before its end";
            tone = Tone::kWarn;
            break;
        default:
            words = "not asked";
            tone = Tone::kDim;
            break;
    }
    if (candidate.probe()) words += "; as the one request that may try it again";
    if (candidate.ramping()) words += "; behind the others, since only some sessions use it again so far";
    if (candidate.sticky()) words += "; the session's provider";
    bool in_spite = candidate.until_ms() != 0 && candidate.fate() != Fate::LEFT_OUT;
    if (in_spite) words += "; benched, and in the list all the same";
    return Cell(std::move(words), tone);
}

std::string times_words(const v1::CandidateRecord& candidate) {
    if (candidate.began_ms() < 0) return {};
    std::string words = fmt::format("at {}", time_words(candidate.began_ms()));
    if (candidate.connect_ms() >= 0) words += ", connect " + time_words(candidate.connect_ms());
    if (candidate.pooled()) words += ", reused connection";
    if (candidate.first_byte_ms() >= 0) words += ", first byte " + time_words(candidate.first_byte_ms());
    if (candidate.duration_ms() >= 0) words += ", " + time_words(candidate.duration_ms()) + " in all";
    return words;
}

}  // namespace balancer::cli
