#include "tests/support/http_text.hpp"

#include <algorithm>
#include <charconv>

namespace balancer::tests {
namespace {

constexpr std::size_t kChunkBytesMax = std::size_t{1} << 32;

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::optional<std::size_t> parse_number(std::string_view text, int base) {
    std::size_t number = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (ec != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return number;
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {}, lower, lower);
}

const std::string* find_header(const HeaderLines& headers, std::string_view name) {
    for (const auto& [key, value] : headers) {
        if (same_name(key, name)) return &value;
    }
    return nullptr;
}

std::size_t count_headers(const HeaderLines& headers, std::string_view name) {
    return static_cast<std::size_t>(std::ranges::count_if(headers, [&](const auto& line) {
        return same_name(line.first, name);
    }));
}

std::string header_or_empty(const HeaderLines& headers, std::string_view name) {
    const std::string* value = find_header(headers, name);
    return value ? *value : std::string();
}

std::optional<std::size_t> head_size(std::string_view bytes) {
    std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return std::nullopt;
    return end + 4;
}

std::optional<HttpHead> parse_head(std::string_view bytes) {
    HttpHead head;
    bool first = true;
    while (!bytes.empty()) {
        std::size_t end = bytes.find("\r\n");
        if (end == std::string_view::npos) return std::nullopt;
        std::string_view line = bytes.substr(0, end);
        bytes.remove_prefix(end + 2);
        if (first) {
            head.start_line = std::string(line);
            first = false;
        } else if (line.empty()) {
            break;
        } else {
            std::size_t colon = line.find(':');
            if (colon == std::string_view::npos) return std::nullopt;
            head.headers.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
        }
    }
    if (head.start_line.empty()) return std::nullopt;
    return head;
}

unsigned status_of(std::string_view start_line) {
    std::size_t space = start_line.find(' ');
    if (!start_line.starts_with("HTTP/") || space == std::string_view::npos) return 0;
    std::optional<std::size_t> status = parse_number(start_line.substr(space + 1, 3), 10);
    return status ? static_cast<unsigned>(*status) : 0;
}

BodyDecoder BodyDecoder::none() {
    return fixed(0);
}

BodyDecoder BodyDecoder::fixed(std::size_t bytes) {
    BodyDecoder decoder;
    decoder.left_ = bytes;
    return decoder;
}

BodyDecoder BodyDecoder::chunked() {
    BodyDecoder decoder;
    decoder.kind_ = Kind::kChunked;
    return decoder;
}

BodyDecoder BodyDecoder::until_close() {
    BodyDecoder decoder;
    decoder.kind_ = Kind::kUntilClose;
    return decoder;
}

BodyDecoder BodyDecoder::of_request(const HeaderLines& headers) {
    if (same_name(header_or_empty(headers, "transfer-encoding"), "chunked")) return chunked();
    return fixed(parse_number(header_or_empty(headers, "content-length"), 10).value_or(0));
}

BodyDecoder BodyDecoder::of_response(
    const HeaderLines& headers, unsigned status, bool head_request
) {
    if (head_request || status == 204 || status == 304 || status < 200) return none();
    if (same_name(header_or_empty(headers, "transfer-encoding"), "chunked")) return chunked();
    std::optional<std::size_t> length =
        parse_number(header_or_empty(headers, "content-length"), 10);
    return length ? fixed(*length) : until_close();
}

BodyDecoder::State BodyDecoder::decode(std::string& inbound, std::string& body) {
    if (kind_ == Kind::kChunked) return decode_chunks(inbound, body);
    std::size_t taken =
        kind_ == Kind::kUntilClose ? inbound.size() : std::min(left_, inbound.size());
    body.append(inbound, 0, taken);
    inbound.erase(0, taken);
    if (kind_ == Kind::kUntilClose) return State::kMore;
    left_ -= taken;
    return left_ == 0 ? State::kComplete : State::kMore;
}

BodyDecoder::State BodyDecoder::decode_chunks(std::string& inbound, std::string& body) {
    for (;;) {
        if (left_ > 0) {
            std::size_t taken = std::min(left_, inbound.size());
            body.append(inbound, 0, taken);
            inbound.erase(0, taken);
            left_ -= taken;
            if (left_ > 0) return State::kMore;
            after_chunk_ = true;
        }
        std::size_t end = inbound.find("\r\n");
        if (end == std::string::npos) return State::kMore;
        std::string line = inbound.substr(0, end);
        inbound.erase(0, end + 2);
        if (after_chunk_) {
            if (!line.empty()) return State::kMalformed;
            after_chunk_ = false;
        } else if (in_trailer_) {
            if (line.empty()) return State::kComplete;
        } else {
            std::string_view digits = std::string_view(line).substr(0, line.find(';'));
            std::optional<std::size_t> size = parse_number(digits, 16);
            if (!size || *size > kChunkBytesMax) return State::kMalformed;
            left_ = *size;
            in_trailer_ = left_ == 0;
        }
    }
}

}  // namespace balancer::tests
