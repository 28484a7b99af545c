// Counting a text's tokens with a published encoding. Sans I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "dataplane/tokens/byte_pairs.hpp"
#include "dataplane/tokens/rank_table.hpp"
#include "dataplane/tokens/splitter.hpp"

namespace balancer::tokens {

enum class EncodingName {
    kClaude,  // @anthropic-ai/tokenizer: Claude up to 2.1; the only one that Anthropic has published
    kCl100k,
    kO200k,
};

// "claude", "cl100k_base", "o200k_base".
std::string_view name_of(EncodingName name);

// The encoding for a model name as it is sent upstream, whatever stands in front of its last slash: Claude's for names with
// "claude", o200k_base for OpenAI's models since GPT-4o, cl100k_base for all others (as the Python balancer counted).
EncodingName encoding_of(std::string_view model);

// Immutable, thread-safe, for the life of the process.
struct Encoding {
    EncodingName name;
    RankTable table;
    Splitter splitter;

    // Null when the program was built without the rank data. The first call for a name compiles its expression.
    static const Encoding* find(EncodingName name);
};

// Counts texts, in steps of bounded memory and work. Keeps its memory. Not thread-safe.
class TokenCounter {
  public:
    // What is looked at in one step. A text is cut in front of a space, where a piece begins in any case. One without a space
    // in the second half of a window is cut at its end, and may come out a token or two longer there.
    static constexpr std::size_t kWindowBytes = 64U << 10;

    explicit TokenCounter(const Encoding& encoding);
    ~TokenCounter();
    TokenCounter(const TokenCounter&) = delete;
    TokenCounter& operator=(const TokenCounter&) = delete;

    // Takes one window from the front of `text`, which is UTF-8 (not checked), and returns its tokens.
    std::uint64_t count_window(std::string_view& text);

    std::uint64_t count(std::string_view text);

  private:
    std::uint64_t count_ordinary(std::string_view text);
    std::string_view normalized(std::string_view text);

    const Encoding& encoding_;
    Pieces pieces_;
    BytePairs pairs_;
    std::string normalized_;
};

}  // namespace balancer::tokens
