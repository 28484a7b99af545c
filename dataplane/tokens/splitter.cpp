#include "dataplane/tokens/splitter.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string>

#include "base/check.hpp"

namespace balancer::tokens {
namespace {

// Of steps back in one match. The published expressions take as many as the text has characters, a few times over.
constexpr std::uint32_t kMatchLimit = 4'000'000;
constexpr std::size_t kJitStackBytesMin = 32U << 10;
constexpr std::size_t kJitStackBytesMax = 1U << 20;

// The expressions are written for an engine whose \s is Unicode's White_Space. PCRE2's holds U+180E as well, which has not
// been white space since Unicode 6.3.
std::string with_unicode_spaces(std::string_view pattern) {
    constexpr std::string_view kSpaces =
        R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
    std::string out;
    bool in_class = false;
    for (std::size_t at = 0; at < pattern.size(); ++at) {
        char c = pattern[at];
        if (c != '\\' || at + 1 == pattern.size()) {
            if (c == '[') in_class = true;
            if (c == ']') in_class = false;
            out.push_back(c);
            continue;
        }
        char escaped = pattern[++at];
        if (escaped == 's') {
            out.append(in_class ? "" : "[").append(kSpaces).append(in_class ? "" : "]");
        } else if (escaped == 'S' && !in_class) {
            out.append("[^").append(kSpaces).append("]");
        } else {
            out.append({c, escaped});
        }
    }
    return out;
}

}  // namespace

struct Splitter::Code {
    pcre2_code* code = nullptr;
    ~Code() { pcre2_code_free(code); }
};

Splitter::Splitter(std::string_view pattern) : code_(std::make_unique<Code>()) {
    std::string adapted = with_unicode_spaces(pattern);
    int error = 0;
    PCRE2_SIZE where = 0;
    code_->code = pcre2_compile(
        reinterpret_cast<PCRE2_SPTR>(adapted.data()), adapted.size(), PCRE2_UTF | PCRE2_UCP, &error, &where, nullptr
    );
    BALANCER_CHECK(code_->code != nullptr);
    // Where the system allows no code made at run time it is interpreted, with the same result.
    pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE);
}

Splitter::~Splitter() = default;

struct Pieces::Match {
    pcre2_match_data* data = nullptr;
    pcre2_match_context* context = nullptr;
    pcre2_jit_stack* stack = nullptr;

    explicit Match(const pcre2_code* code)
        : data(pcre2_match_data_create_from_pattern(code, nullptr)),
          context(pcre2_match_context_create(nullptr)),
          stack(pcre2_jit_stack_create(kJitStackBytesMin, kJitStackBytesMax, nullptr)) {
        BALANCER_CHECK(data != nullptr && context != nullptr);
        pcre2_set_match_limit(context, kMatchLimit);
        if (stack != nullptr) pcre2_jit_stack_assign(context, nullptr, stack);
    }
    ~Match() {
        pcre2_match_context_free(context);
        pcre2_jit_stack_free(stack);
        pcre2_match_data_free(data);
    }
};

Pieces::Pieces(const Splitter& splitter)
    : match_(std::make_unique<Match>(splitter.code_->code)), splitter_(splitter) {}

Pieces::~Pieces() = default;

void Pieces::begin(std::string_view text) {
    text_ = text;
    at_ = 0;
}

std::string_view Pieces::next() {
    if (at_ >= text_.size()) return {};
    int found = pcre2_match(
        splitter_.code_->code, reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), at_, PCRE2_NO_UTF_CHECK,
        match_->data, match_->context
    );
    std::size_t begin = at_;
    std::size_t end = text_.size();
    if (found > 0) {
        const PCRE2_SIZE* span = pcre2_get_ovector_pointer(match_->data);
        begin = span[0];
        end = span[1];
    }
    // No match (the expressions leave nothing out), a limit, or an empty match: the rest is one piece.
    if (end <= begin) {
        begin = at_;
        end = text_.size();
    }
    at_ = end;
    return text_.substr(begin, end - begin);
}

}  // namespace balancer::tokens
