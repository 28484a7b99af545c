#include "cli/command/findings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/document.hpp"
#include "cli/table.hpp"

namespace balancer::cli {
namespace {

const char* name_of(Verdict verdict) {
    if (verdict == Verdict::kGood) return "ok";
    return verdict == Verdict::kWarn ? "warning" : "bad";
}

Tone tone_of(Verdict verdict) {
    if (verdict == Verdict::kGood) return Tone::kGood;
    return verdict == Verdict::kWarn ? Tone::kWarn : Tone::kBad;
}

}  // namespace

std::string apart_words(std::int64_t ahead_ms) {
    const double seconds = std::abs(static_cast<double>(ahead_ms)) / 1000;
    return fmt::format("{:.1f} s {}", seconds, ahead_ms < 0 ? "behind" : "ahead");
}

void Findings::tell(Verdict verdict, std::string subject, std::string words, std::string mend) {
    if (session_.format == Format::kTable) {
        session_.out << paint(fmt::format("{:<8}", name_of(verdict)), tone_of(verdict), session_.color)
                     << printable(subject) << ": " << printable(words) << '\n';
        if (!mend.empty()) session_.out << fmt::format("{:8}mend it: {}\n", "", printable(mend));
        session_.out.flush();
    }
    findings_.push_back({verdict, std::move(subject), std::move(words), std::move(mend)});
}

int Findings::finish() {
    if (session_.format != Format::kTable) {
        nlohmann::ordered_json document = nlohmann::ordered_json::array();
        for (const Finding& one : findings_) {
            document.push_back(
                {{"verdict", name_of(one.verdict)}, {"subject", one.subject}, {"finding", one.words}, {"mend", one.mend}}
            );
        }
        print_document({{"findings", std::move(document)}}, session_.format, session_.out);
    }
    const auto some = [this](Verdict verdict) {
        return std::ranges::find(findings_, verdict, &Finding::verdict) != findings_.end();
    };
    if (some(Verdict::kBad)) return kFailed;
    return some(Verdict::kWarn) ? kDegraded : kDone;
}

}  // namespace balancer::cli
