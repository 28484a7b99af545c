// The words of real servers about conversations that are too long, one line each, from their sources
// and from reports of their users.
#include "dataplane/wire/convert/context_length.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace balancer::wire::convert {
namespace {

struct Said {
    const char* server;
    const char* message;
    std::string_view expected;  // empty: its own words, behind "prompt is too long: "
};

constexpr Said kPrompts[] = {
    {"OpenAI",
     "This model's maximum context length is 128000 tokens. However, your messages resulted in "
     "130,001 tokens. Please reduce the length of the messages.",
     "prompt is too long: 130001 tokens > 128000 maximum"},
    {"OpenAI, GPT-5",
     "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 305127 "
     "tokens. Please reduce the length of the messages.",
     "prompt is too long: 305127 tokens > 272000 maximum"},
    {"OpenAI, Responses", "Your input exceeds the context window of this model.", {}},
    {"Azure OpenAI",
     "This model's maximum context length is 8192 tokens. However, you requested 10500 tokens "
     "(8000 in the messages, 1500 in the functions, and 1000 in the completion).",
     "prompt is too long: 9500 tokens > 8192 maximum"},
    {"Gemini",
     "The input token count (134123) exceeds the maximum number of tokens allowed (131072).",
     "prompt is too long: 134123 tokens > 131072 maximum"},
    {"xAI",
     "This model's maximum prompt length is 131072 but the request contains 136973 tokens.",
     "prompt is too long: 136973 tokens > 131072 maximum"},
    {"vLLM's engine",
     "The decoder prompt (length 100001) is longer than the maximum model length of 32768. Make "
     "sure that `max_model_len` is no smaller than the number of text tokens.",
     "prompt is too long: 100001 tokens > 32768 maximum"},
    {"vLLM 0.11",
     "This model's maximum context length is 32768 tokens. However, your request has 40000 input "
     "tokens. Please reduce the length of the input messages.",
     "prompt is too long: 40000 tokens > 32768 maximum"},
    {"vLLM, old",
     "This model's maximum context length is 32768 tokens. However, you requested 40500 tokens in "
     "the messages, Please reduce the length of the messages.",
     "prompt is too long: 40500 tokens > 32768 maximum"},
    {"SGLang",
     "The input (40500 tokens) is longer than the model's context length (32768 tokens).",
     "prompt is too long: 40500 tokens > 32768 maximum"},
    {"SGLang's scheduler",
     "Input length (40500 tokens) exceeds the maximum allowed length (32762 tokens). Use a shorter "
     "input or enable --allow-auto-truncate.",
     "prompt is too long: 40500 tokens > 32762 maximum"},
    {"Poolside",
     "Input length 131393 exceeds the maximum allowed input length of 131040 tokens.",
     "prompt is too long: 131393 tokens > 131040 maximum"},
    {"OpenRouter",
     "This endpoint's maximum context length is 32768 tokens. However, you requested about 42832 "
     "tokens (42832 of text input). Please reduce the length of either one.",
     "prompt is too long: 42832 tokens > 32768 maximum"},
    {"llama.cpp",
     "request (12345 tokens) exceeds the available context size (8192 tokens), try increasing it",
     "prompt is too long: 12345 tokens > 8192 maximum"},
    {"llama.cpp, no split",
     "input (12345 tokens) is larger than the max context size (8192 tokens). skipping",
     "prompt is too long: 12345 tokens > 8192 maximum"},
    {"llama.cpp, old", "the request exceeds the available context size, try increasing it", {}},
    {"LM Studio",
     "Trying to keep the first 50785 tokens when context the overflows. However, the model is "
     "loaded with context length of only 45217 tokens, which is not enough.",
     {}},
    {"Ollama", "prompt too long; exceeded max context length by 4096 tokens", {}},
    {"Mistral",
     "Prompt contains 300000 tokens and 0 draft tokens, too large for model with 131072 maximum "
     "context length",
     "prompt is too long: 300000 tokens > 131072 maximum"},
    {"Kimi",
     "Invalid request: Your request exceeded model token limit: 262144 (requested: 291351)",
     "prompt is too long: 291351 tokens > 262144 maximum"},
    {"DashScope",
     "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 202745]",
     {}},
    {"Zhipu 1261", "Prompt exceeds max length", {}},
    {"Zhipu 1210", "tokens in request more than max tokens allowed", {}},
    {"MiniMax", "invalid params, context window exceeds limit", {}},
    {"Groq", "Please reduce the length of the messages or completion.", {}},
    {"Ark", "Total tokens of image and text exceed max message tokens.", {}},
    {"Bedrock", "Input is too long for requested model.", {}},
    {"Cohere",
     "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.",
     {}},
    {"Copilot",
     "prompt token count of 130000 exceeds the limit of 128000",
     "prompt is too long: 130000 tokens > 128000 maximum"},
    {"DS4",
     "Prompt has 256,468 tokens, but the configured context size is 256,000 tokens",
     "prompt is too long: 256468 tokens > 256000 maximum"},
    {"TGI",
     "Input validation error: `inputs` must have less than 32768 tokens. Given: 40000",
     "prompt is too long: 40000 tokens > 32768 maximum"},
    {"Together", "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097", {}},
};

TEST(ContextLength, EveryServersWordsMakeTheClientCompact) {
    for (const Said& one : kPrompts) {
        std::string own = fmt::format("prompt is too long: {}", one.message);
        EXPECT_EQ(
            context_length_message(one.message, false), one.expected.empty() ? own : one.expected
        ) << one.server;
    }
}

struct Summed {
    const char* server;
    const char* message;
    const char* numbers;
};

// The prompt fits, and would not get shorter by compacting: fewer tokens have to be asked for.
TEST(ContextLength, WhatIsAskedForIsToldFromThePrompt) {
    constexpr Summed kCases[] = {
        {"OpenAI",
         "This model's maximum context length is 8192 tokens. However, you requested 10000 tokens "
         "(7000 in the messages, 3000 in the completion).",
         "7000 + 3000 > 8192"},
        {"OpenAI, old",
         "This model's maximum context length is 4097 tokens, however you requested 4569 tokens "
         "(3545 in your prompt; 1024 for the completion).",
         "3545 + 1024 > 4097"},
        {"OpenRouter",
         "This endpoint's maximum context length is 131072 tokens. However, you requested about "
         "150000 tokens (20000 of text input, 2000 of tool input, 128000 in the output). Please "
         "reduce the length of either one.",
         "22000 + 128000 > 131072"},
        {"SGLang",
         "Requested token count exceeds the model's maximum context length of 32768 tokens. You "
         "requested a total of 148000 tokens: 20000 tokens from the input messages and 128000 "
         "tokens for the completion. Please reduce the number of tokens in the input messages or "
         "the completion to fit within the limit.",
         "20000 + 128000 > 32768"},
        {"vLLM 0.18",
         "This model's maximum context length is 262144 tokens. However, you requested 128000 "
         "output tokens and your prompt contains at least 134145 input tokens, for a total of at "
         "least 262145 tokens. Please reduce the length of the input prompt or the number of "
         "requested output tokens.",
         "134145 + 128000 > 262144"},
        {"vLLM 0.16",
         "You passed 68001 input tokens and requested 32000 output tokens. However, the model's "
         "context length is only 100000 tokens, resulting in a maximum input length of 68000 "
         "tokens. Please reduce the length of the input prompt.",
         "68001 + 32000 > 100000"},
        {"vLLM 0.11",
         "'max_tokens' or 'max_completion_tokens' is too large: 128000. This model's maximum "
         "context length is 131072 tokens and your request has 15000 input tokens (128000 > 131072 "
         "- 15000).",
         "15000 + 128000 > 131072"},
        {"TGI",
         "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 100000. Given: "
         "99500 `inputs` tokens and 1024 `max_new_tokens`",
         "99500 + 1024 > 100000"},
        {"a total and the completion",
         "This model's maximum context length is 8192 tokens. However, you requested 10000 tokens, "
         "3000 in the completion.",
         "7000 + 3000 > 8192"},
    };
    for (const Summed& one : kCases) {
        EXPECT_EQ(
            context_length_message(one.message, false),
            fmt::format(
                "input length and `max_tokens` exceed context limit: {}, decrease input length or "
                "`max_tokens` and try again",
                one.numbers
            )
        ) << one.server;
    }
}

// vLLM counts characters before it counts tokens; its numbers of tokens are bounds then.
TEST(ContextLength, BoundsAreNoCounts) {
    const char* by_characters =
        "You passed 99999999 input characters and requested 32000 output tokens. However, the "
        "model's context length is only 100000 tokens, resulting in a maximum input length of "
        "68000 tokens (at most 12345678 characters). Please reduce the length of the input prompt.";
    EXPECT_EQ(
        context_length_message(by_characters, false),
        fmt::format("prompt is too long: {}", by_characters)
    );
}

TEST(ContextLength, OtherFaultsKeepTheirWords) {
    for (const char* message : {
             "max_tokens is too large: 128000. This model supports at most 16384 completion tokens",
             "max_tokens=200000 cannot be greater than max_model_len=100000.",
             "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
             "Range of max_tokens should be [1, 8192]",
             "The encoder prompt (length 9000) is longer than the maximum model length of 4096.",
             "Stream options can only be defined when `stream=True`.",
             "Rate limit reached for requests",
             "Unknown parameter: 'prompt'.",
         }) {
        EXPECT_EQ(context_length_message(message, false), "") << message;
    }
    EXPECT_EQ(context_length_message("too much", true), "prompt is too long: too much");
}

}  // namespace
}  // namespace balancer::wire::convert
