#include "tests/support/script.hpp"

#include <algorithm>

namespace balancer::tests {
namespace {

// Where an assistant is asked, in either dialect.
bool asks_assistant(std::string_view path) {
    return path == "/v1/messages" || path.ends_with("/chat/completions");
}

bool matches(const Match& match, const ScriptCursor::Facts& facts) {
    if (match.path ? *match.path != facts.path : !asks_assistant(facts.path)) return false;
    if (match.model && *match.model != facts.model) return false;
    if (match.header && find_header(*facts.headers, *match.header) == nullptr) return false;
    return !match.stream || *match.stream == facts.stream;
}

bool is_unconditional(const Match& match) {
    return !match.path && !match.model && !match.header && !match.stream;
}

}  // namespace

Script script_of(std::vector<Step> steps, AtTheEnd at_the_end) {
    Script script;
    script.rules.push_back(Rule{{}, std::move(steps), at_the_end});
    return script;
}

Step status_step(unsigned status, HeaderLines headers) {
    Step step;
    step.status = status;
    step.headers = std::move(headers);
    return step;
}

Step break_step(Break::How how, Break::After after, std::size_t count) {
    Step step;
    step.break_off = Break{how, after, count};
    return step;
}

ScriptCursor::ScriptCursor(Script script)
    : script_(std::move(script)), positions_(script_.rules.size()) {}

const Step* ScriptCursor::current(std::size_t rule) const {
    const std::vector<Step>& steps = script_.rules[rule].steps;
    return steps.empty() ? nullptr : &steps[std::min(positions_[rule].step, steps.size() - 1)];
}

void ScriptCursor::advance(std::size_t rule) {
    const Rule& of = script_.rules[rule];
    Position& position = positions_[rule];
    if (position.step >= of.steps.size()) return;
    if (++position.served < of.steps[position.step].times) return;
    position.served = 0;
    if (position.step + 1 < of.steps.size()) {
        ++position.step;
    } else if (of.at_the_end == AtTheEnd::kLoop) {
        position.step = 0;
    }
}

Step ScriptCursor::next(const Facts& facts) {
    for (std::size_t rule = 0; rule < script_.rules.size(); ++rule) {
        if (!matches(script_.rules[rule].match, facts)) continue;
        const Step* step = current(rule);
        if (step == nullptr) return {};
        Step chosen = *step;
        advance(rule);
        return chosen;
    }
    return {};
}

bool ScriptCursor::refuses_connection() {
    for (std::size_t rule = 0; rule < script_.rules.size(); ++rule) {
        if (!is_unconditional(script_.rules[rule].match)) continue;
        const Step* step = current(rule);
        if (step == nullptr || !step->refuse) return false;
        advance(rule);
        return true;
    }
    return false;
}

}  // namespace balancer::tests
