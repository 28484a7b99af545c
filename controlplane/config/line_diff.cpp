// Myers' algorithm ("An O(ND) difference algorithm", 1986) on lines.
#include "controlplane/config/line_diff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace balancer::controlplane {
namespace {

constexpr std::size_t kContext = 3;

using Lines = std::vector<std::string_view>;

Lines split(std::string_view text) {
    Lines lines;
    while (!text.empty()) {
        std::size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

struct Step {
    char mark;  // ' ', '-' or '+'
    std::string_view line;
};

// Steps from (x, y) back to the start, newest first.
void walk_back(
    const Lines& a,
    const Lines& b,
    const std::vector<std::vector<int>>& trace,
    std::vector<Step>& out
) {
    int x = static_cast<int>(a.size());
    int y = static_cast<int>(b.size());
    for (int d = static_cast<int>(trace.size()) - 1; d >= 0; --d) {
        const std::vector<int>& v = trace[static_cast<std::size_t>(d)];
        auto at = [&](int k) { return v[static_cast<std::size_t>(k + d)]; };
        int k = x - y;
        bool down = d > 0 && (k == -d || (k != d && at(k - 1) < at(k + 1)));
        int from_k = down ? k + 1 : k - 1;
        int from_x = d == 0 ? 0 : at(from_k);
        int from_y = d == 0 ? 0 : from_x - from_k;
        while (x > from_x && y > from_y) {
            out.push_back({' ', a[static_cast<std::size_t>(--x)]});
            --y;
        }
        if (d == 0) break;
        if (down) {
            out.push_back({'+', b[static_cast<std::size_t>(--y)]});
        } else {
            out.push_back({'-', a[static_cast<std::size_t>(--x)]});
        }
    }
}

// Empty when more than kDiffEditsMax lines differ. trace[d] holds the furthest x of each diagonal
// before round d, from -d to d.
std::vector<Step> shortest(const Lines& a, const Lines& b) {
    const int n = static_cast<int>(a.size());
    const int m = static_cast<int>(b.size());
    const int max = std::min(n + m, kDiffEditsMax);
    std::vector<int> furthest(static_cast<std::size_t>(2 * max + 3), 0);
    auto at = [&](int k) -> int& { return furthest[static_cast<std::size_t>(k + max + 1)]; };
    std::vector<std::vector<int>> trace;
    for (int d = 0; d <= max; ++d) {
        std::vector<int> before;
        for (int k = -d; k <= d; ++k) before.push_back(at(k));
        trace.push_back(std::move(before));
        for (int k = -d; k <= d; k += 2) {
            int x = 0;
            if (d > 0) x = k == -d || (k != d && at(k - 1) < at(k + 1)) ? at(k + 1) : at(k - 1) + 1;
            int y = x - k;
            while (x < n && y < m &&
                   a[static_cast<std::size_t>(x)] == b[static_cast<std::size_t>(y)]) {
                ++x;
                ++y;
            }
            at(k) = x;
            if (x < n || y < m) continue;
            std::vector<Step> steps;
            walk_back(a, b, trace, steps);
            std::reverse(steps.begin(), steps.end());
            return steps;
        }
    }
    return {};
}

std::vector<Step> steps_between(const Lines& a, const Lines& b) {
    std::size_t head = 0;
    while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
    std::size_t tail = 0;
    while (tail < a.size() - head && tail < b.size() - head &&
           a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) {
        ++tail;
    }
    Lines middle_a(
        a.begin() + static_cast<std::ptrdiff_t>(head), a.end() - static_cast<std::ptrdiff_t>(tail)
    );
    Lines middle_b(
        b.begin() + static_cast<std::ptrdiff_t>(head), b.end() - static_cast<std::ptrdiff_t>(tail)
    );
    std::vector<Step> steps;
    for (std::size_t i = 0; i < head; ++i) steps.push_back({' ', a[i]});
    std::vector<Step> middle = shortest(middle_a, middle_b);
    if (middle.empty()) {
        for (std::string_view line : middle_a) middle.push_back({'-', line});
        for (std::string_view line : middle_b) middle.push_back({'+', line});
    }
    steps.insert(steps.end(), middle.begin(), middle.end());
    for (std::size_t i = a.size() - tail; i < a.size(); ++i) steps.push_back({' ', a[i]});
    return steps;
}

// Steps [first, last) as one hunk; `line_a` and `line_b` are the numbers, from 0, of the lines
// before it.
void append_hunk(
    std::string& out,
    const std::vector<Step>& steps,
    std::size_t first,
    std::size_t last,
    std::size_t line_a,
    std::size_t line_b
) {
    std::size_t in_a = 0;
    std::size_t in_b = 0;
    std::string body;
    for (std::size_t i = first; i < last; ++i) {
        if (steps[i].mark != '+') ++in_a;
        if (steps[i].mark != '-') ++in_b;
        body += steps[i].mark;
        body += steps[i].line;
        body += '\n';
    }
    out += fmt::format(
        "@@ -{},{} +{},{} @@\n",
        in_a > 0 ? line_a + 1 : line_a,
        in_a,
        in_b > 0 ? line_b + 1 : line_b,
        in_b
    );
    out += body;
}

}  // namespace

std::string unified_diff(
    std::string_view from, std::string_view to, std::string_view from_name, std::string_view to_name
) {
    Lines a = split(from);
    Lines b = split(to);
    if (a == b) return {};
    std::vector<Step> steps = steps_between(a, b);
    std::string out = fmt::format("--- {}\n+++ {}\n", from_name, to_name);
    std::size_t line_a = 0;
    std::size_t line_b = 0;
    std::size_t i = 0;
    auto pass = [&](std::size_t until) {
        for (; i < until; ++i) {
            if (steps[i].mark != '+') ++line_a;
            if (steps[i].mark != '-') ++line_b;
        }
    };
    while (i < steps.size()) {
        std::size_t change = i;
        while (change < steps.size() && steps[change].mark == ' ') ++change;
        if (change == steps.size()) break;
        pass(change > i + kContext ? change - kContext : i);
        // The hunk goes on while the next change is near enough to share its context.
        std::size_t last = change;
        for (std::size_t j = change; j < steps.size() && j <= last + 2 * kContext; ++j) {
            if (steps[j].mark != ' ') last = j;
        }
        std::size_t end = std::min(last + 1 + kContext, steps.size());
        append_hunk(out, steps, i, end, line_a, line_b);
        pass(end);
    }
    return out;
}

}  // namespace balancer::controlplane
