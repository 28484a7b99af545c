// One pass over a request's body, in either format: what routing needs, as spans of the bytes. Everything else is the
// provider's to judge, and stays as it came.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "dataplane/wire/format.hpp"

namespace balancer::wire {

// Bytes that must be readable (not necessarily initialised) behind a body given to BodyScanner.
inline constexpr std::size_t kBodyPadding = 64;

struct ByteSpan {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t size() const { return end - begin; }
};

// One member of the body's own object.
struct BodyMember {
    std::string_view key;    // as it is written, without its quotes
    std::string_view value;  // raw JSON, without the white space around it
};

struct BodyFields {
    std::string model;                     // unescaped
    ByteSpan model_value;                  // the JSON string with its quotes
    bool stream = false;
    std::optional<std::string> provider;   // the pin
    ByteSpan provider_member;              // key, value and one comma, when pinned
    bool thinks_by_budget = false;         // thinking.type is "enabled"
    std::string user_id;                   // metadata.user_id; OpenAI: prompt_cache_key, else user. Or empty
    std::string_view system;               // raw JSON, or empty. OpenAI: the first message of role system or developer
    std::string_view tools;
    std::string_view first_user_message;
    std::vector<BodyMember> members;       // all of them, in their order
};

// Owns the parser's tables; one per worker. Not thread-safe.
class BodyScanner {
  public:
    BodyScanner();
    ~BodyScanner();

    // `body` must have kBodyPadding readable bytes behind it. The error is for the client: what is wrong, in
    // the words that the API itself uses ("model: Field required").
    Result<BodyFields> scan(std::string_view body, Format format = Format::kAnthropic);

  private:
    struct Parser;
    std::unique_ptr<Parser> parser_;
};

// Whether `body` is JSON from its first byte to its last. Builds a tree: not for what is asked of every answer.
bool is_whole_json(std::string_view body);

// Whether a complete 2xx JSON body is really an error: a top-level `"error"` member that is not null, or
// `"type":"error"`. False for anything that is not a JSON object.
bool is_error_object(std::string_view body);

// error.type and error.message of an error body in the shape of Anthropic or OpenAI; empty where absent.
struct ErrorWords {
    std::string type;
    std::string message;
};
ErrorWords read_error_words(std::string_view body);

// `with` in the place of `span`.
struct BodyEdit {
    ByteSpan span;
    std::string_view with;
};

// What changes on the way to a provider of the same format: the model's value (when `model` is not empty; `value` is filled with
// its JSON string) and the pin, which is taken out.
std::vector<BodyEdit> edits_of(const BodyFields& fields, std::string_view model, std::string& value);

// The body as pieces to send, views into it and into the edits' texts. Edits that lie inside another one are left out.
std::vector<std::string_view> splice_body(std::string_view body, std::vector<BodyEdit> edits);

}  // namespace balancer::wire
