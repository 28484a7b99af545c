// Anthropic's content blocks as OpenAI's content parts: texts, images, files.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/wire/convert/anthropic_request.hpp"
#include "dataplane/wire/convert/conversion.hpp"
#include "dataplane/wire/convert/place.hpp"
#include "model/capabilities.hpp"

namespace balancer::wire::convert {

struct Part {
    enum class Kind { kText, kImage, kFile };
    Kind kind = Kind::kText;
    std::string_view text;           // inside of the string
    std::string_view cache_control;  // raw, or empty
    const Block* block = nullptr;    // of an image or a file
};

using Parts = std::vector<Part>;

// Lives as long as one conversion; the parts that it gives point into the request and into itself.
class PartsReader {
  public:
    // Both outlive this.
    PartsReader(const Capabilities& takes, Notes& notes) : takes_(takes), notes_(notes) {}

    // Appends what `content` holds besides calls, results and thinking. Fails (not_capable) at a
    // block that this provider cannot take; in what an assistant said, such a block is dropped and
    // noted instead.
    Result<void> read(
        const Content& content, const Place& place, bool said_by_assistant, Parts& parts
    );

  private:
    Result<void> read_block(
        const Block& block, const Place& place, bool said_by_assistant, Parts& parts
    );
    Result<void> read_image(const Block& block, const Place& place, Parts& parts);
    Result<void> read_document(const Block& block, const Place& place, Parts& parts);
    Result<void> read_search_result(const Block& block, const Place& place, Parts& parts);
    void add_text(std::string inside, Parts& parts);

    const Capabilities& takes_;
    Notes& notes_;
    std::deque<std::string> made_;  // texts that stand in no request
};

// The texts of `parts`, one to a line, as the inside of a string.
void append_joined_texts(std::string& out, const Parts& parts);

bool is_all_text(const Parts& parts);

// A value for "content": a string when all is text and none of it is marked for the cache, else a
// list of parts.
void append_content(std::string& out, const Parts& parts, bool takes_cache_control);

}  // namespace balancer::wire::convert
