#include "cli/words.hpp"

#include <fmt/format.h>

#include <utility>

#include "model/failure.hpp"

namespace balancer::cli {

std::string duration_words(Milliseconds duration) {
    std::int64_t seconds = duration.count() / 1000;
    if (seconds < 60) return fmt::format("{}s", seconds);
    if (seconds < 3600) return fmt::format("{}m", seconds / 60);
    if (seconds < 86400) return fmt::format("{}h", seconds / 3600);
    return fmt::format("{}d", seconds / 86400);
}

std::string ago(UnixMs at, UnixMs now) {
    if (at == 0) return "never";
    if (at >= now) return "now";
    return duration_words(Milliseconds(now - at)) + " ago";
}

std::string version_words(const v1::Version& version) {
    if (version.epoch() == 0 && version.seq() == 0) return "-";
    return fmt::format("{}.{}", version.epoch(), version.seq());
}

bool at_least(const v1::Version& version, const v1::Version& wanted) {
    return version.store_uuid() == wanted.store_uuid() &&
           std::pair(version.epoch(), version.seq()) >= std::pair(wanted.epoch(), wanted.seq());
}

std::string source_words(v1::RevisionSource source) {
    switch (source) {
        case v1::REVISION_SOURCE_START:
            return "start";
        case v1::REVISION_SOURCE_FILE:
            return "file";
        case v1::REVISION_SOURCE_CLI:
            return "cli";
        case v1::REVISION_SOURCE_ROLLBACK:
            return "rollback";
        default:
            return "unknown";
    }
}

Cell circuit_words(const v1::ProviderView& view, UnixMs now) {
    if (!view.provider().enabled()) return Cell("-", Tone::kDim);
    const v1::ProviderHealth& health = view.health();
    switch (health.circuit()) {
        case v1::CIRCUIT_OPEN: {
            std::int64_t left = health.until_ms() - now;
            if (left <= 0) return Cell("open", Tone::kBad);
            // Rounded up: "0s left" of a circuit that is open reads like a mistake.
            return Cell(
                fmt::format("open, {} left", duration_words(Milliseconds(left + 999))), Tone::kBad
            );
        }
        case v1::CIRCUIT_HALF_OPEN:
            return Cell("half_open", Tone::kWarn);
        case v1::CIRCUIT_RAMP:
            return Cell(fmt::format("ramp {}%", health.ramp_percent()), Tone::kWarn);
        default:
            if (health.spared()) return Cell("closed, spared", Tone::kBad);
            return Cell("closed", Tone::kGood);
    }
}

std::string class_words(std::uint32_t failure_class) {
    if (failure_class >= kFailureClasses) return fmt::format("class_{}", failure_class);
    return std::string(name_of(static_cast<FailureClass>(failure_class)));
}

std::string problem_words(const v1::ConfigProblem& problem, const std::string& file) {
    std::string text = file.empty() ? problem.file() : file;
    if (problem.line() > 0) text += fmt::format(":{}:{}", problem.line(), problem.column());
    if (!problem.path().empty()) text += ": " + problem.path();
    text += ": " + problem.message();
    if (!problem.suggestion().empty()) text += "; " + problem.suggestion();
    return text;
}

}  // namespace balancer::cli
