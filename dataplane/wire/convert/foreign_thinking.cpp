#include "dataplane/wire/convert/foreign_thinking.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "dataplane/wire/convert/answer_to_anthropic.hpp"
#include "dataplane/wire/convert/json_walk.hpp"

namespace balancer::wire::convert {
namespace {

using Walk = JsonReader::Walk;

constexpr std::string_view kThinkingOff = "{\"type\":\"disabled\"}";

// A block, or a message.
struct Element {
    ByteSpan span;
    std::string_view kind;  // type or role
    bool cut = false;
};

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
    Finder(Walk& walk, std::string_view body, ForeignThinking which)
        : walk_(walk), body_(body), which_(which) {}

    void read_member(std::string_view name, Value& value);

    std::vector<Turn> turns;
    std::optional<ByteSpan> thinking;  // when it is enabled with a budget
    std::optional<ByteSpan> context_management;

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

    Walk& walk_;
    std::string_view body_;
    ForeignThinking which_;
};

void Finder::read_block(Value& value, Turn& turn) {
    Element& block = turn.blocks.emplace_back();
    std::string_view signature;
    block.span = span_of(value, [&](std::string_view name, Value& member) {
        if (name == "type") block.kind = walk_.string(member);
        if (name == "signature") signature = walk_.string(member);
    });
    bool thinks = block.kind == "thinking" || block.kind == "redacted_thinking";
    block.cut = thinks && (which_ == ForeignThinking::kAll || signature == kConvertedSignature);
}

void Finder::read_turn(Value& value) {
    Turn& turn = turns.emplace_back();
    turn.itself.span = span_of(value, [&](std::string_view name, Value& member) {
        if (name == "role") turn.itself.kind = walk_.string(member);
        if (name != "content") return;
        if (!turn.blocks.empty()) return walk_.refuse(invalid("messages: content given twice"));
        walk_.elements(member, [&](std::size_t, Value& block) { read_block(block, turn); });
    });
    if (turn.blocks.empty()) return;
    // A message without content is refused, so it goes as a whole.
    turn.itself.cut = std::all_of(turn.blocks.begin(), turn.blocks.end(), [](const Element& block) {
        return block.cut;
    });
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

// The calls of the assistant's last turn wait for their answer while nothing but results follows;
// and no thinking stands in front of them.
bool is_unfounded_loop(const std::vector<Turn>& turns) {
    for (auto turn = turns.rbegin(); turn != turns.rend(); ++turn) {
        if (turn->itself.cut) continue;
        if (turn->itself.kind == "assistant") {
            std::string_view first = turn->first_type();
            return turn->has("tool_use") && first != "thinking" && first != "redacted_thinking";
        }
        if (turn->itself.kind == "user" && !turn->has("tool_result")) return false;
    }
    return false;
}

// Elements of one list, each with the comma behind it; those behind the last that stays, with the
// comma before them. At least one stays.
void cut_elements(const std::vector<Element>& elements, std::vector<ThinkingCuts::Cut>& cuts) {
    std::size_t last = elements.size() - 1;
    while (elements[last].cut) --last;
    for (std::size_t i = 0; i < last; ++i) {
        if (elements[i].cut)
            cuts.push_back({{elements[i].span.begin, elements[i + 1].span.begin}, {}});
    }
    if (last + 1 < elements.size()) {
        cuts.push_back({{elements[last].span.end, elements.back().span.end}, {}});
    }
}

void cut_turns(const std::vector<Turn>& turns, ThinkingCuts& found) {
    std::vector<Element> messages;
    for (const Turn& turn : turns) messages.push_back(turn.itself);
    auto is_cut = [](const Element& element) { return element.cut; };
    // Thinking alone is no conversation: the provider may say so.
    if (std::all_of(messages.begin(), messages.end(), is_cut)) return;
    cut_elements(messages, found.cuts);
    for (const Turn& turn : turns) {
        found.blocks +=
            static_cast<unsigned>(std::count_if(turn.blocks.begin(), turn.blocks.end(), is_cut));
        if (turn.itself.cut) {
            ++found.messages;
        } else if (!turn.blocks.empty()) {
            cut_elements(turn.blocks, found.cuts);
        }
    }
}

}  // namespace

bool may_hold_converted_thinking(std::string_view body) {
    return ::memmem(
               body.data(), body.size(), kConvertedSignature.data(), kConvertedSignature.size()
           ) != nullptr;
}

Result<ThinkingCuts> find_foreign_thinking(
    JsonReader& reader, std::string_view body, ForeignThinking which
) {
    Walk& walk = reader.walk();
    Finder finder(walk, body, which);
    Result<void> read = walk.read_object(body, [&](std::string_view name, Value& value) {
        finder.read_member(name, value);
    });
    if (!read) return read.error();
    ThinkingCuts found;
    cut_turns(finder.turns, found);
    if (finder.thinking && is_unfounded_loop(finder.turns)) {
        found.thinking_off = true;
        found.cuts.push_back({*finder.thinking, kThinkingOff});
        if (finder.context_management) found.cuts.push_back({*finder.context_management, "null"});
    }
    std::sort(found.cuts.begin(), found.cuts.end(), [](const auto& a, const auto& b) {
        return a.span.begin < b.span.begin;
    });
    return found;
}

std::vector<std::string_view> apply_cuts(std::string_view body, const ThinkingCuts& cuts) {
    std::vector<std::string_view> pieces;
    std::size_t at = 0;
    for (const ThinkingCuts::Cut& cut : cuts.cuts) {
        pieces.push_back(body.substr(at, cut.span.begin - at));
        if (!cut.with.empty()) pieces.push_back(cut.with);
        at = cut.span.end;
    }
    pieces.push_back(body.substr(at));
    return pieces;
}

}  // namespace balancer::wire::convert
