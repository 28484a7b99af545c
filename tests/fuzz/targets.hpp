// Fuzz targets: one function for each parser of bytes from outside. Each checks what must hold for
// any input and aborts (BALANCER_CHECK) when it does not; the sanitizers see the rest.
// Deterministic, no I/O, no state that a result depends on. Not thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace balancer::fuzz {

void http_head(std::string_view bytes);
void chunked(std::string_view bytes);
void sse(std::string_view bytes);
void body(std::string_view bytes);
void text(std::string_view bytes);
void convert_requests(std::string_view bytes);
void convert_answers(std::string_view bytes);
void convert_streams(std::string_view bytes);
void answer_filters(std::string_view bytes);
void last_known_good(std::string_view bytes);
void count_tokens(std::string_view bytes);
void model_list(std::string_view bytes);
void sealed_record(std::string_view bytes);
void login_callback(std::string_view bytes);

// Files and the content of one, sealed with the target's key.
std::vector<std::string> last_known_good_seeds();

// Records, sealed with the target's key.
std::vector<std::string> sealed_record_seeds();

// `seeds` are good and nearly good inputs; `words` are what a mutation inserts to get further than
// chance would.
struct Target {
    std::string_view name;
    void (*run)(std::string_view bytes);
    std::vector<std::string> seeds;
    std::vector<std::string> words;
};

const std::vector<Target>& targets();

// With what JSON is made of.
std::vector<std::string> with_json_words(std::vector<std::string> more);

Target convert_requests_target();
Target convert_answers_target();
Target convert_streams_target();
Target answer_filters_target();
Target count_tokens_target();
Target model_list_target();
Target login_callback_target();

}  // namespace balancer::fuzz
