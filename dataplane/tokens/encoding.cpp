#include "dataplane/tokens/encoding.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/ascii.hpp"
#include "dataplane/tokens/embedded_ranks.hpp"

namespace balancer::tokens {
namespace {

bool is_visible(char c) { return c > ' ' && c < 0x7f; }
bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// How much of a text is looked at together.
std::size_t window_of(std::string_view text) {
    constexpr std::size_t kMax = TokenCounter::kWindowBytes;
    if (text.size() <= kMax) return text.size();
    for (std::size_t at = kMax; at > kMax / 2; --at) {
        // No published expression joins a space to what is visible in front of it, and none composes with it.
        if (text[at] == ' ' && is_visible(text[at - 1])) return at;
    }
    std::size_t at = kMax;
    while (at > kMax - 4 && is_continuation(text[at])) --at;
    return at;
}

using CodePoints = std::vector<utf8proc_int32_t>;

constexpr auto kNfkc = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);

// What each character stands for, the marks not yet in order. False for what is not UTF-8.
bool decompose(std::string_view text, CodePoints& out) {
    constexpr std::size_t kRoom = 32;  // no character stands for more than eighteen
    std::size_t size = 0;
    int boundary = 0;
    while (!text.empty()) {
        utf8proc_int32_t point = 0;
        utf8proc_ssize_t bytes = utf8proc_iterate(
            reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()), &point
        );
        if (bytes <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(bytes));
        if (out.size() < size + kRoom) out.resize(2 * out.size() + kRoom);
        utf8proc_ssize_t points = utf8proc_decompose_char(point, out.data() + size, kRoom, kNfkc, &boundary);
        if (points < 0 || static_cast<std::size_t>(points) > kRoom) return false;
        size += static_cast<std::size_t>(points);
    }
    out.resize(size);
    return true;
}

// The canonical order of the marks behind each character.
void order_marks(CodePoints& points) {
    auto place = [](utf8proc_int32_t point) { return utf8proc_get_property(point)->combining_class; };
    auto is_mark = [&](utf8proc_int32_t point) { return place(point) != 0; };
    auto before = [&](utf8proc_int32_t one, utf8proc_int32_t other) { return place(one) < place(other); };
    auto begin = std::find_if(points.begin(), points.end(), is_mark);
    while (begin != points.end()) {
        auto end = std::find_if_not(begin, points.end(), is_mark);
        if (!std::is_sorted(begin, end, before)) std::stable_sort(begin, end, before);
        begin = std::find_if(end, points.end(), is_mark);
    }
}

const Encoding* make(EncodingName name) {
    std::span<const unsigned char> packed = embedded_ranks(name);
    if (packed.empty()) return nullptr;
    RankTable table(packed);
    std::string_view pattern = table.pattern();
    return new Encoding{name, std::move(table), Splitter(pattern)};  // for the life of the process
}

}  // namespace

std::string_view name_of(EncodingName name) {
    switch (name) {
        case EncodingName::kClaude: return "claude";
        case EncodingName::kCl100k: return "cl100k_base";
        case EncodingName::kO200k: return "o200k_base";
    }
    return {};
}

EncodingName encoding_of(std::string_view model) {
    std::string lower = to_lower(model);
    std::string_view name = lower;
    name.remove_prefix(name.rfind('/') + 1);  // npos + 1 is 0
    if (name.find("claude") != name.npos) return EncodingName::kClaude;
    static constexpr std::array<std::string_view, 9> kO200kFamilies = {
        "gpt-4o", "chatgpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "o1", "o3", "o4-",
    };
    bool o200k = std::any_of(kO200kFamilies.begin(), kO200kFamilies.end(), [&](std::string_view family) {
        return name.starts_with(family);
    });
    return o200k ? EncodingName::kO200k : EncodingName::kCl100k;
}

const Encoding* Encoding::find(EncodingName name) {
    switch (name) {
        case EncodingName::kClaude: {
            static const Encoding* const kMade = make(name);
            return kMade;
        }
        case EncodingName::kCl100k: {
            static const Encoding* const kMade = make(name);
            return kMade;
        }
        case EncodingName::kO200k: {
            static const Encoding* const kMade = make(name);
            return kMade;
        }
    }
    return nullptr;
}

TokenCounter::TokenCounter(const Encoding& encoding) : encoding_(encoding), pieces_(encoding.splitter) {}

TokenCounter::~TokenCounter() = default;

// As @anthropic-ai/tokenizer does before it encodes. In steps of our own: utf8proc_map puts marks in order by
// exchanging neighbours, which takes seconds for a window of nothing else.
std::string_view TokenCounter::normalized(std::string_view text) {
    if (std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; })) return text;
    CodePoints points;
    points.reserve(text.size() + 1);
    if (!decompose(text, points)) return text;
    order_marks(points);
    auto count = static_cast<utf8proc_ssize_t>(points.size());
    points.push_back(0);  // utf8proc_reencode() writes its bytes over the points, and a zero behind them
    utf8proc_ssize_t size = utf8proc_reencode(points.data(), count, kNfkc);
    if (size < 0) return text;
    normalized_.assign(reinterpret_cast<const char*>(points.data()), static_cast<std::size_t>(size));
    return normalized_;
}

std::uint64_t TokenCounter::count_ordinary(std::string_view text) {
    std::uint64_t tokens = 0;
    pieces_.begin(text);
    for (std::string_view piece = pieces_.next(); !piece.empty(); piece = pieces_.next()) {
        tokens += pairs_.count(encoding_.table, piece);
    }
    return tokens;
}

std::uint64_t TokenCounter::count_window(std::string_view& text) {
    std::string_view window = text.substr(0, window_of(text));
    text.remove_prefix(window.size());
    // OpenAI's encodings hold names of control tokens in a text for text, Anthropic's package for the tokens.
    if (encoding_.name != EncodingName::kClaude) return count_ordinary(window);
    window = normalized(window);
    std::uint64_t tokens = 0;
    std::size_t begin = 0;
    for (std::size_t at = window.find('<'); at != window.npos; at = window.find('<', at + 1)) {
        const auto& specials = encoding_.table.specials();
        auto special = std::find_if(specials.begin(), specials.end(), [&](std::string_view name) {
            return window.substr(at).starts_with(name);
        });
        if (special == specials.end()) continue;
        tokens += count_ordinary(window.substr(begin, at - begin)) + 1;
        begin = at + special->size();
        at = begin - 1;
    }
    return tokens + count_ordinary(window.substr(begin));
}

std::uint64_t TokenCounter::count(std::string_view text) {
    std::uint64_t tokens = 0;
    while (!text.empty()) tokens += count_window(text);
    return tokens;
}

}  // namespace balancer::tokens
