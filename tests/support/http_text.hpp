// HTTP/1.1 as bytes: heads and bodies taken apart by hand, so that tests see exactly what was on
// the wire. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace balancer::tests {

// Names and values as sent, in wire order.
using HeaderLines = std::vector<std::pair<std::string, std::string>>;

bool same_name(std::string_view a, std::string_view b);

// The first value under `name`, whatever its case; null when there is none.
const std::string* find_header(const HeaderLines& headers, std::string_view name);

std::size_t count_headers(const HeaderLines& headers, std::string_view name);

// The first value under `name`, or an empty text.
std::string header_or_empty(const HeaderLines& headers, std::string_view name);

struct HttpHead {
    std::string start_line;
    HeaderLines headers;
};

// The length of the head at the front of `bytes` with its blank line; nullopt while it is
// incomplete.
std::optional<std::size_t> head_size(std::string_view bytes);

// Takes a complete head apart; nullopt when a line has no colon or the start line is empty.
std::optional<HttpHead> parse_head(std::string_view bytes);

// The status of a response's start line, 0 when it is none.
unsigned status_of(std::string_view start_line);

// Takes one body out of a stream of bytes.
class BodyDecoder {
  public:
    enum class State { kMore, kComplete, kMalformed };

    static BodyDecoder none();
    static BodyDecoder fixed(std::size_t bytes);
    static BodyDecoder chunked();
    static BodyDecoder until_close();

    // How the message with these headers is framed. A request without a length has no body; a
    // response without one lasts until the connection closes.
    static BodyDecoder of_request(const HeaderLines& headers);
    static BodyDecoder of_response(const HeaderLines& headers, unsigned status, bool head_request);

    // Moves what belongs to the body from the front of `inbound` to the end of `body`. What follows
    // a complete body stays in `inbound`.
    State decode(std::string& inbound, std::string& body);

    // True when the end of the connection is this body's proper end.
    bool ends_with_connection() const { return kind_ == Kind::kUntilClose; }

  private:
    enum class Kind { kFixed, kChunked, kUntilClose };
    State decode_chunks(std::string& inbound, std::string& body);

    Kind kind_ = Kind::kFixed;
    std::size_t left_ = 0;  // of the fixed body, or of the chunk being read
    bool in_trailer_ = false;
    bool after_chunk_ = false;  // the line break behind a chunk's data is due
};

}  // namespace balancer::tests
