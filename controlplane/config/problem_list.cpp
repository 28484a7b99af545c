#include "controlplane/config/problem_list.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/redact.hpp"
#include "base/utf8.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::size_t kQuotedMax = 80;
constexpr std::size_t kWordMax = 64;  // longer words are nobody's slip of a key

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Insertions, deletions, replacements and swaps of neighbours, ignoring ASCII case.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before_last(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0U : 1U)});
            bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                           lower(a[i - 2]) == lower(b[j - 1]);
            if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
        }
        before_last = last;
        last = row;
    }
    return last[b.size()];
}

}  // namespace

void ProblemList::add(Position at, std::string path, std::string message, std::string suggestion) {
    if (problems_.size() > kProblemsMax) return;
    if (problems_.size() == kProblemsMax) {
        problems_.push_back(ConfigProblem{file_, 0, 0, "", "more problems were left out", ""});
        return;
    }
    problems_.push_back(ConfigProblem{
        file_, at.line, at.column, std::move(path), std::move(message), std::move(suggestion)
    });
}

std::vector<ConfigProblem> ProblemList::take() {
    std::stable_sort(problems_.begin(), problems_.end(), [](const auto& a, const auto& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    return std::move(problems_);
}

std::string in_quotes(std::string_view text) {
    // Redacted before it is cut: half a secret no longer looks like one.
    std::string shown = redact(text);
    if (shown.size() > kQuotedMax) {
        cut_utf8(shown, kQuotedMax);
        shown += "...";
    }
    for (char& c : shown) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    }
    return fmt::format("'{}'", shown);
}

std::string_view closest(std::string_view word, const std::vector<std::string_view>& candidates) {
    std::string_view best;
    std::size_t best_distance = std::min<std::size_t>(word.size() / 3 + 1, 3) + 1;
    if (word.size() > kWordMax) return best;
    for (std::string_view candidate : candidates) {
        if (candidate.size() > kWordMax) continue;
        std::size_t distance = edit_distance(word, candidate);
        // A wholly different word of few letters is near everything.
        if (distance >= std::max(word.size(), candidate.size())) continue;
        if (distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
    std::string_view best = closest(word, candidates);
    return best.empty() ? std::string() : fmt::format("did you mean {}?", in_quotes(best));
}

}  // namespace balancer::controlplane
