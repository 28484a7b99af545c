#include "dataplane/wire/convert/foreign_thinking.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "dataplane/wire/convert/answer_to_anthropic.hpp"
#include "dataplane/wire/convert/element_cuts.hpp"
#include "dataplane/wire/convert/json_walk.hpp"
#include "model/snapshot.hpp"

namespace balancer::wire::convert {
namespace {

using Walk = JsonReader::Walk;

constexpr std::string_view kThinkingOff = "{\"type\":\"disabled\"}";

struct Turn {
    Element itself;
    std::vector<Element> blocks;

    bool has(std::string_view type) const {
        return std::any_of(blocks.begin(), blocks.end(), [type](const Element& block) {
            return block.kind == type;
        });
    }
    // Of what stays.
    std::string_view first_type() const {
        for (const Element& block : blocks) {
            if (!block.cut) return block.kind;
        }
        return {};
    }
};

class Finder {
  public:
    Finder(Walk& walk, std::string_view body, ForeignThinking which, std::string_view own_mark)
        : walk_(walk), body_(body), which_(which), own_mark_(own_mark) {}

    void read_member(std::string_view name, Value& value);

    std::vector<Turn> turns;
    std::optional<ByteSpan> thinking;  // when it is enabled with a budget
    std::optional<ByteSpan> context_management;
    std::vector<BodyEdit> marks;  // taken off

  private:
    // The span of a value whose members `each` visits.
    template <class Each>
    ByteSpan span_of(Value& value, Each&& each) {
        std::string_view text;
        if (walk_.kind(value) == JsonKind::kObject) {
            const char* begin = value.raw_json_token().data();
            walk_.members(value, each);
            text = walk_.text_since(begin);
        } else {
            text = walk_.raw(value);
        }
        if (walk_.failed()) return {};
        std::size_t begin = static_cast<std::size_t>(text.data() - body_.data());
        return {begin, begin + text.size()};
    }
    void read_turn(Value& value);
    void read_block(Value& value, Turn& turn);
    bool is_foreign(std::string_view signature);

    Walk& walk_;
    std::string_view body_;
    ForeignThinking which_;
    std::string_view own_mark_;
};

// Notes the mark of one that is not.
bool Finder::is_foreign(std::string_view signature) {
    if (which_ == ForeignThinking::kNotAnthropic) {
        return signature == kConvertedSignature || signature.starts_with(kSignatureMark);
    }
    if (own_mark_.empty() || !signature.starts_with(own_mark_)) return true;
    std::size_t begin = static_cast<std::size_t>(signature.data() - body_.data());
    marks.push_back({{begin, begin + own_mark_.size()}, {}});
    return false;
}

void Finder::read_block(Value& value, Turn& turn) {
    Element& block = turn.blocks.emplace_back();
    std::string_view signature;
    std::string_view data;
    block.span = span_of(value, [&](std::string_view name, Value& member) {
        if (name == "type") block.kind = walk_.string(member);
        if (name == "signature") signature = walk_.string(member);
        if (name == "data") data = walk_.string(member);
    });
    if (block.kind == "thinking") block.cut = is_foreign(signature);
    if (block.kind == "redacted_thinking") block.cut = is_foreign(data);
}

void Finder::read_turn(Value& value) {
    Turn& turn = turns.emplace_back();
    turn.itself.span = span_of(value, [&](std::string_view name, Value& member) {
        if (name == "role") turn.itself.kind = walk_.string(member);
        if (name != "content") return;
        if (!turn.blocks.empty()) return walk_.refuse(invalid("messages: content given twice"));
        walk_.elements(member, [&](std::size_t, Value& block) { read_block(block, turn); });
    });
    // A message without content is refused, so it goes as a whole.
    turn.itself.cut = all_are_cut(turn.blocks);
}

void Finder::read_member(std::string_view name, Value& value) {
    if (name == "messages") {
        if (!turns.empty()) return walk_.refuse(invalid("messages: given twice"));
        walk_.elements(value, [&](std::size_t, Value& turn) { read_turn(turn); });
    } else if (name == "thinking") {
        bool enabled = false;
        ByteSpan span = span_of(value, [&](std::string_view key, Value& member) {
            if (key == "type") enabled = walk_.string(member) == "enabled";
        });
        if (enabled) thinking = span;
    } else if (name == "context_management") {
        context_management = span_of(value, [](std::string_view, Value&) {});
    }
}

bool is_thinking(std::string_view type) { return type == "thinking" || type == "redacted_thinking"; }

// The assistant's last turn if its calls wait for their answer, which is the case while nothing but results follows.
const Turn* open_loop(const std::vector<Turn>& turns) {
    for (auto turn = turns.rbegin(); turn != turns.rend(); ++turn) {
        if (turn->itself.cut) continue;
        if (turn->itself.kind == "assistant") return turn->has("tool_use") ? &*turn : nullptr;
        if (turn->itself.kind == "user" && !turn->has("tool_result")) return nullptr;
    }
    return nullptr;
}

// No thinking stands in front of its calls.
bool is_unfounded_loop(const std::vector<Turn>& turns) {
    const Turn* turn = open_loop(turns);
    return turn != nullptr && !is_thinking(turn->first_type());
}

void cut_turns(const std::vector<Turn>& turns, ThinkingCuts& found) {
    std::vector<Element> messages;
    for (const Turn& turn : turns) messages.push_back(turn.itself);
    auto is_cut = [](const Element& element) { return element.cut; };
    // Thinking alone is no conversation: the provider may say so.
    if (all_are_cut(messages)) return;
    cut_elements(messages, found.cuts);
    for (const Turn& turn : turns) {
        found.blocks +=
            static_cast<unsigned>(std::count_if(turn.blocks.begin(), turn.blocks.end(), is_cut));
        if (turn.itself.cut) {
            ++found.messages;
        } else {
            cut_elements(turn.blocks, found.cuts);
        }
    }
}

}  // namespace

bool may_hold_marked_thinking(std::string_view body) {
    // As a value begins: inside of a text the quote would have a backslash, and stand at the end of it.
    constexpr std::string_view kMark = "\"balancer-";
    static_assert(kConvertedSignature.starts_with(kMark.substr(1)) && kSignatureMark.starts_with(kMark.substr(1)));
    return ::memmem(body.data(), body.size(), kMark.data(), kMark.size()) != nullptr;
}

Result<ThinkingCuts> find_foreign_thinking(
    JsonReader& reader, std::string_view body, ForeignThinking which, std::string_view own_mark
) {
    Walk& walk = reader.walk();
    Finder finder(walk, body, which, own_mark);
    Result<void> read = walk.read_object(body, [&](std::string_view name, Value& value) {
        finder.read_member(name, value);
    });
    if (!read) return read.error();
    ThinkingCuts found;
    found.cuts = std::move(finder.marks);
    cut_turns(finder.turns, found);
    if (finder.thinking && is_unfounded_loop(finder.turns)) {
        found.thinking_off = true;
        found.cuts.push_back({*finder.thinking, kThinkingOff});
        if (finder.context_management) found.cuts.push_back({*finder.context_management, "null"});
    }
    std::sort(found.cuts.begin(), found.cuts.end(), [](const BodyEdit& a, const BodyEdit& b) {
        return a.span.begin < b.span.begin;
    });
    return found;
}

bool is_thinking_loop(JsonReader& reader, std::string_view body) {
    Walk& walk = reader.walk();
    Finder finder(walk, body, ForeignThinking::kNotAnthropic, {});
    Result<void> read = walk.read_object(body, [&](std::string_view name, Value& value) {
        finder.read_member(name, value);
    });
    const Turn* turn = read ? open_loop(finder.turns) : nullptr;
    return turn != nullptr && is_thinking(turn->first_type());
}

}  // namespace balancer::wire::convert
