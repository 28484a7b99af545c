#include "dataplane/wire/http_head.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <charconv>
#include <cstring>

#include "base/ascii.hpp"

namespace balancer::wire {
namespace {

namespace http = boost::beast::http;
using BeastView = boost::core::string_view;

std::string_view view(BeastView text) { return {text.data(), text.size()}; }

// Takes the pieces out of Beast's parser as views; nothing of a body ever reaches it.
template <bool is_request>
class HeadParser final : public http::basic_parser<is_request> {
  public:
    BeastView method;
    BeastView target;
    int version = 11;
    int status = 0;
    HeaderFields fields;

    explicit HeadParser(std::size_t head_bytes) {
        this->header_limit(static_cast<std::uint32_t>(head_bytes + 1));
        this->body_limit(boost::none);
        this->skip(true);
        fields.reserve(32);
    }

  private:
    using Ec = boost::beast::error_code;
    void on_request_impl(http::verb, BeastView m, BeastView t, int v, Ec&) override {
        method = m;
        target = t;
        version = v;
    }
    void on_response_impl(int code, BeastView, int v, Ec&) override {
        status = code;
        version = v;
    }
    void on_field_impl(http::field, BeastView name, BeastView value, Ec&) override {
        fields.push_back(HeaderField{view(name), view(value)});
    }
    void on_header_impl(Ec&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, Ec&) override {}
    std::size_t on_body_impl(BeastView body, Ec&) override { return body.size(); }
    void on_chunk_header_impl(std::uint64_t, BeastView, Ec&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, BeastView body, Ec&) override {
        return body.size();
    }
    void on_finish_impl(Ec&) override {}
};

template <bool is_request>
Result<void> run(HeadParser<is_request>& parser, std::string_view head) {
    boost::beast::error_code ec;
    parser.put(boost::asio::const_buffer(head.data(), head.size()), ec);
    if (ec && ec != http::error::need_more) {
        return Error{ec, fmt::format("malformed HTTP head: {}", ec.message())};
    }
    if (!parser.is_header_done()) return invalid("malformed HTTP head");
    return {};
}

struct Lengths {
    std::size_t transfer_encodings = 0;
    std::size_t content_lengths = 0;
    bool chunked = false;
    std::uint64_t length = 0;
};

// RFC 9112 section 6: one way of framing, unambiguous, or none.
Result<Lengths> read_lengths(const HeaderFields& fields) {
    Lengths found;
    for (const HeaderField& field : fields) {
        if (equals_lower(field.name, "transfer-encoding")) {
            ++found.transfer_encodings;
            found.chunked = equals_lower(field.value, "chunked");
            if (!found.chunked) return invalid("transfer-encoding other than chunked");
        } else if (equals_lower(field.name, "content-length")) {
            ++found.content_lengths;
            const char* end = field.value.data() + field.value.size();
            auto [at, problem] = std::from_chars(field.value.data(), end, found.length);
            if (problem != std::errc() || at != end || field.value.empty()) {
                return invalid("content-length is not a number");
            }
        }
    }
    if (found.transfer_encodings > 1 || found.content_lengths > 1) {
        return invalid("more than one transfer-encoding or content-length");
    }
    if (found.transfer_encodings > 0 && found.content_lengths > 0) {
        return invalid("both transfer-encoding and content-length");
    }
    return found;
}

bool wants_keep_alive(const HeaderFields& fields, bool http_1_0) {
    bool keep = !http_1_0;
    for (const HeaderField& field : fields) {
        if (!equals_lower(field.name, "connection")) continue;
        if (list_contains(field.value, "close")) return false;
        if (list_contains(field.value, "keep-alive")) keep = true;
    }
    return keep;
}

}  // namespace

HeadScan scan_head(std::string_view bytes, std::size_t from) {
    HeadScan scan;
    std::size_t line = from;
    while (line < bytes.size()) {
        const void* found = std::memchr(bytes.data() + line, '\n', bytes.size() - line);
        if (found == nullptr) break;
        std::size_t end = static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
        std::string_view text = bytes.substr(line, end - line);
        if (text.empty() || text.back() != '\r') {
            return {HeadScan::State::kBad, 0, line, "a line of the head does not end in CR LF"};
        }
        text.remove_suffix(1);
        if (text.empty()) return {HeadScan::State::kComplete, end + 1, end + 1, {}};
        if (text.find_first_of(std::string_view("\r\0", 2)) != std::string_view::npos) {
            return {HeadScan::State::kBad, 0, line, "a control character in the head"};
        }
        if (text.front() == ' ' || text.front() == '\t') {
            return {HeadScan::State::kBad, 0, line, "a folded header line"};
        }
        line = end + 1;
    }
    scan.scanned = line;
    return scan;
}

Result<RequestHead> parse_request_head(std::string_view bytes) {
    HeadParser<true> parser(bytes.size());
    Result<void> parsed = run(parser, bytes);
    if (!parsed) return parsed.error();
    RequestHead head;
    head.method = view(parser.method);
    std::string_view target = view(parser.target);
    head.fields = std::move(parser.fields);
    head.http_1_0 = parser.version < 11;
    if (!target.starts_with('/')) return invalid("the request target is not a path");
    std::size_t mark = target.find('?');
    head.path = target.substr(0, mark);
    if (mark != std::string_view::npos) head.query = target.substr(mark);

    Result<Lengths> lengths = read_lengths(head.fields);
    if (!lengths) return lengths.error();
    if (lengths->chunked && head.http_1_0) return invalid("transfer-encoding in HTTP/1.0");
    if (lengths->chunked) {
        head.framing = Framing::kChunked;
    } else if (lengths->content_lengths > 0 && lengths->length > 0) {
        head.framing = Framing::kLength;
        head.content_length = lengths->length;
    }
    std::size_t hosts = 0;
    for (const HeaderField& field : head.fields) {
        if (equals_lower(field.name, "host")) ++hosts;
        if (equals_lower(field.name, "expect")) {
            head.expect_continue = equals_lower(field.value, "100-continue");
            if (!head.expect_continue) return invalid("an expectation other than 100-continue");
        }
    }
    if (hosts > 1 || (hosts == 0 && !head.http_1_0)) return invalid("exactly one host header is needed");
    head.keep_alive = wants_keep_alive(head.fields, head.http_1_0);
    return head;
}

Result<ResponseHead> parse_response_head(std::string_view bytes, ResponseTo request) {
    HeadParser<false> parser(bytes.size());
    Result<void> parsed = run(parser, bytes);
    if (!parsed) return parsed.error();
    ResponseHead head;
    head.status = static_cast<unsigned>(parser.status);
    head.fields = std::move(parser.fields);
    head.keep_alive = wants_keep_alive(head.fields, parser.version < 11);
    Result<Lengths> lengths = read_lengths(head.fields);
    if (!lengths) return lengths.error();
    bool bodiless = request == ResponseTo::kHead || head.status < 200 || head.status == 204 ||
                    head.status == 304;
    if (bodiless) {
        head.framing = Framing::kNone;
    } else if (lengths->chunked) {
        head.framing = Framing::kChunked;
    } else if (lengths->content_lengths > 0) {
        head.framing = lengths->length > 0 ? Framing::kLength : Framing::kNone;
        head.content_length = lengths->length;
    } else {
        head.framing = Framing::kUntilClose;
        head.keep_alive = false;
    }
    return head;
}

bool equals_lower(std::string_view text, std::string_view lower_text) {
    if (text.size() != lower_text.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (to_lower(text[i]) != lower_text[i]) return false;
    }
    return true;
}

std::optional<std::string_view> find_field(
    const HeaderFields& fields, std::string_view lower_name
) {
    for (const HeaderField& field : fields) {
        if (equals_lower(field.name, lower_name)) return field.value;
    }
    return std::nullopt;
}

void set_field(HeaderFields& fields, std::string_view lower_name, std::string_view value) {
    auto field = std::find_if(fields.begin(), fields.end(), [&](const HeaderField& one) {
        return equals_lower(one.name, lower_name);
    });
    if (field == fields.end()) {
        fields.push_back({lower_name, value});
    } else {
        field->value = value;
    }
}

bool list_contains(std::string_view list, std::string_view lower_token) {
    while (!list.empty()) {
        std::size_t comma = list.find(',');
        std::string_view item = list.substr(0, comma);
        while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
        while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
        if (equals_lower(item, lower_token)) return true;
        if (comma == std::string_view::npos) break;
        list.remove_prefix(comma + 1);
    }
    return false;
}

bool is_hop_by_hop(std::string_view name, const HeaderFields& all) {
    static constexpr std::array<std::string_view, 9> kAlways = {
        "connection",          "keep-alive", "te",      "trailer", "transfer-encoding", "upgrade",
        "proxy-authorization", "proxy-connection", "proxy-authenticate",
    };
    for (std::string_view always : kAlways) {
        if (equals_lower(name, always)) return true;
    }
    for (const HeaderField& field : all) {
        if (!equals_lower(field.name, "connection")) continue;
        if (list_contains(field.value, to_lower(name))) return true;
    }
    return false;
}

bool is_event_stream(const ResponseHead& head) {
    constexpr std::string_view kType = "text/event-stream";
    auto type = find_field(head.fields, "content-type");
    return head.status / 100 == 2 && type && type->size() >= kType.size() &&
           equals_lower(type->substr(0, kType.size()), kType);
}

}  // namespace balancer::wire
