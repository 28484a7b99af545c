// The figures were recorded from npm's tiktoken 1.0.22 (encode_ordinary) and @anthropic-ai/tokenizer 0.0.4 (as its
// countTokens does); tests/e2e/tokens_test.mjs compares more texts with the packages themselves.
#include "dataplane/tokens/encoding.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <ctime>
#include <string>

namespace balancer::tokens {
namespace {

constexpr std::array kAll = {EncodingName::kClaude, EncodingName::kCl100k, EncodingName::kO200k};

using Figures = std::array<std::uint64_t, 3>;  // in the order of kAll

class Encodings : public testing::Test {
  protected:
    void SetUp() override {
        for (EncodingName name : kAll) {
            if (Encoding::find(name) == nullptr) GTEST_SKIP() << "built with BALANCER_TOKENIZERS=OFF";
        }
    }
    static Figures count(std::string_view text) {
        Figures figures{};
        for (std::size_t i = 0; i < kAll.size(); ++i) figures[i] = TokenCounter(*Encoding::find(kAll[i])).count(text);
        return figures;
    }
};

std::string repeated(std::string_view text, std::size_t times) {
    std::string out;
    for (std::size_t i = 0; i < times; ++i) out += text;
    return out;
}

TEST_F(Encodings, CountAsTheirPackagesDo) {
    struct Case {
        std::string text;
        Figures figures;
    };
    for (const Case& one : {
             Case{"", {0, 0, 0}},
             Case{"hello world", {2, 2, 2}},
             Case{"Hello, World! It's 2026-11-25, isn't it?", {17, 18, 16}},
             Case{"I'LL THEY'RE we've 'ſ", {11, 10, 9}},
             Case{"    indented\n\n\n\tcode();  \n", {7, 7, 7}},
             Case{"1234567890 ١٢٣ ½", {11, 13, 10}},
             Case{"日本語と漢字かな。한국어도.", {17, 17, 11}},
             Case{"Привет, мир! שלום عربي ไทย हिन्दी", {31, 25, 9}},
             Case{"👍🏽 👩‍👩‍👧 🇩🇪", {22, 24, 15}},
             Case{"ﬁne ｆｕｌｌ Ⅷ e\u0301 ﷺ", {20, 20, 16}},
             Case{"a\u00a0b\u2003c\u3000d\u0085e\u180ef", {11, 15, 14}},
             Case{"<EOT><META_START>x<META> <|endoftext|>", {11, 15, 16}},
             Case{"camelCaseXMLHttpRequest__init__ /path/to//file.tsx?x=1&y=2", {24, 22, 23}},
             Case{"trailing   ", {2, 3, 3}},
             Case{"\r\n\r\n  \r\n x", {3, 3, 3}},
         }) {
        EXPECT_EQ(count(one.text), one.figures) << one.text;
    }
}

TEST_F(Encodings, CountLongPiecesAsTheirPackagesDo) {
    EXPECT_EQ(count(repeated("a", 50'000)), (Figures{3125, 6250, 6250}));
    EXPECT_EQ(count(repeated("Aa", 25'000)), (Figures{25'000, 50'000, 25'000}));
    EXPECT_EQ(count(repeated(" ", 60'000)), (Figures{60, 470, 470}));
    EXPECT_EQ(count(repeated("ab ", 20'000)), (Figures{20'001, 20'001, 20'001}));
    EXPECT_EQ(count(repeated("漢", 15'000)), (Figures{30'000, 30'000, 15'000}));
    EXPECT_EQ(count(repeated("!\n", 30'000)), (Figures{60'000, 30'000, 30'000}));
    EXPECT_EQ(count(repeated("\u0301", 20'000)), (Figures{40'000, 20'000, 20'000}));
}

TEST_F(Encodings, CutsBetweenWindowsWhereNothingChanges) {
    // 16 tokens of which none ends with a space, and as many times as fill several windows.
    std::string words = " The quick brown fox, it's said, jumps over 13 lazy dogs.";
    std::size_t times = 5 * TokenCounter::kWindowBytes / words.size();
    Figures once = count(words);
    Figures all = count(repeated(words, times));
    for (std::size_t i = 0; i < kAll.size(); ++i) EXPECT_EQ(all[i], once[i] * times) << name_of(kAll[i]);
}

TEST_F(Encodings, TakeOneWindowInOneStep) {
    std::string text = repeated("漢", TokenCounter::kWindowBytes);
    std::string_view rest = text;
    TokenCounter counter(*Encoding::find(EncodingName::kO200k));
    std::size_t steps = 0;
    while (!rest.empty()) {
        std::size_t before = rest.size();
        EXPECT_GT(counter.count_window(rest), 0u);
        EXPECT_LE(before - rest.size(), TokenCounter::kWindowBytes);
        EXPECT_EQ((before - rest.size()) % 3, 0u) << "a character is cut";
        ++steps;
    }
    EXPECT_GE(steps, 3u);
}

// Joining pairs by looking through all of them each time would take hours for these.
TEST_F(Encodings, HostileTextsTakeAsLongAsOthers) {
    auto began = std::chrono::steady_clock::now();
    for (std::string_view unit : {"a", "A", " ", "\n", "'", "Aa", "\u0301", "ﷺ", "ab12"}) {
        count(repeated(unit, (1U << 20) / unit.size()));
    }
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::minutes(3));
}

// The same marks in another order are the same text, however many there are behind one letter.
TEST_F(Encodings, TheOrderOfMarksMakesNoDifferenceToClaudes) {
    TokenCounter counter(*Encoding::find(EncodingName::kClaude));
    EXPECT_EQ(counter.count("e\u0301\u0323"), counter.count("\u1eb9\u0301"));
    EXPECT_EQ(counter.count("a\u0345\u0301\u0316b"), counter.count("\u00e1\u0316\u0345b"));
    EXPECT_EQ(counter.count("\uff76\uff9e"), counter.count("\u30ac"));
    for (std::size_t times : {2, 40, 5'000}) {
        std::string mixed = "x" + repeated("\u0301\u0316", times) + "y";
        std::string sorted = "x" + repeated("\u0316", times) + repeated("\u0301", times) + "y";
        EXPECT_EQ(counter.count(mixed), counter.count(sorted)) << times;
    }
    EXPECT_GT(counter.count("\u0301\xff\u0316"), 0u) << "not UTF-8: as it is";
}

// Ordering these by exchanging neighbours takes more than a thousand times as long as plain text. The last two are
// marks only in what they stand for.
TEST_F(Encodings, MarksOutOfOrderTakeAboutAsLongAsOtherText) {
    TokenCounter counter(*Encoding::find(EncodingName::kClaude));
    auto time_of = [&](const std::string& text) {
        std::clock_t began = std::clock();  // of the processor: others may be at work on it too
        EXPECT_GT(counter.count(text), 0u);
        return static_cast<double>(std::clock() - began);
    };
    constexpr std::size_t kBytes = 1U << 20;
    std::string plain = "The naïve fox, it's said, jumps over 13 lazy dogs. ";
    double usual = time_of(repeated(plain, kBytes / plain.size()));
    for (std::string_view unit : {"\u0301\u0316", "\u0f73", "\uff9e\u0301"}) {
        EXPECT_LT(time_of(repeated(unit, kBytes / unit.size())), 50 * usual) << unit;
    }
}

TEST(EncodingOf, GoesByTheNameThatIsSentUpstream) {
    for (std::string_view model : {"claude-opus-5-5", "anthropic/claude-sonnet-4.5", "Claude-3", "us.anthropic.claude-x"}) {
        EXPECT_EQ(encoding_of(model), EncodingName::kClaude) << model;
    }
    for (std::string_view model : {"gpt-4o", "GPT-4o-mini", "openai/gpt-5.1", "o1", "o3-mini", "o4-mini", "gpt-4.1-nano", "chatgpt-4o-latest"}) {
        EXPECT_EQ(encoding_of(model), EncodingName::kO200k) << model;
    }
    for (std::string_view model : {"gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "qwen3-coder", "deepseek-chat", "", "o", "a/"}) {
        EXPECT_EQ(encoding_of(model), EncodingName::kCl100k) << model;
    }
}

}  // namespace
}  // namespace balancer::tokens
