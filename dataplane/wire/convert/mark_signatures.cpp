#include "dataplane/wire/convert/mark_signatures.hpp"

#include <fmt/format.h>

#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/convert/json_walk.hpp"

namespace balancer::wire::convert {
namespace {

using Walk = JsonReader::Walk;

// A block of thinking, or what a stream says of one.
struct Sign {
    std::string_view type;
    std::string_view signature;  // the string with its quotes
    std::string_view data;
    std::string_view text;       // the object

    bool is_thinking() const { return type == "thinking"; }
    // What is signed, or empty.
    std::string_view opaque() const {
        if (type == "thinking" || type == "signature_delta") return signature;
        return type == "redacted_thinking" ? data : std::string_view();
    }
};

Sign read_sign(Walk& walk, Value& value) {
    Sign sign;
    const char* begin = value.raw_json_token().data();
    walk.members(value, [&](std::string_view name, Value& member) {
        std::string_view raw = walk.raw(member);
        bool is_string = raw.starts_with('"');
        if (name == "type" && is_string) sign.type = raw.substr(1, raw.size() - 2);
        if (name == "signature" && is_string) sign.signature = raw;
        if (name == "data" && is_string) sign.data = raw;
    });
    sign.text = walk.text_since(begin);
    return sign;
}

void append_with(std::string& out, std::string_view text, const char* at, std::string_view mark) {
    std::size_t before = static_cast<std::size_t>(at - text.data());
    out.append(text.substr(0, before)).append(mark).append(text.substr(before));
}

}  // namespace

void mark_message(JsonReader& reader, std::string_view body, std::string_view mark, std::string& out) {
    std::string padded;
    padded.reserve(body.size() + kBodyPadding);
    padded = body;
    std::vector<Sign> signs;
    Walk& walk = reader.walk();
    Result<void> read = walk.read_object(padded, [&](std::string_view name, Value& value) {
        if (name != "content") return void(walk.raw(value));
        walk.elements(value, [&](std::size_t, Value& block) {
            if (walk.kind(block) == JsonKind::kObject) signs.push_back(read_sign(walk, block));
        });
    });
    if (!read) return void(out.append(body));
    std::size_t at = 0;
    std::string_view text = padded;
    auto mark_at = [&](const char* place, std::string_view with) {
        std::size_t next = static_cast<std::size_t>(place - text.data());
        out.append(text.substr(at, next - at)).append(with);
        at = next;
    };
    for (const Sign& sign : signs) {
        if (std::string_view opaque = sign.opaque(); !opaque.empty()) {
            mark_at(opaque.data() + 1, mark);
        } else if (sign.is_thinking()) {
            mark_at(sign.text.data() + 1, fmt::format(R"("signature":"{}",)", mark));
        }
    }
    out.append(text.substr(at));
}

bool SignatureMarker::feed(std::string_view bytes, std::string& out) {
    held_.append(bytes);
    std::size_t done = 0;
    while (auto event = splitter_.next(std::string_view(held_).substr(done))) {
        put(std::string_view(held_).substr(done, event->size), *event, out);
        done += event->size;
    }
    held_.erase(0, done);
    return held_.size() <= kEventBytesMax;
}

void SignatureMarker::end(std::string& out) {
    out.append(held_);
    held_.clear();
}

void SignatureMarker::put(std::string_view event, const SseEvent& read, std::string& out) {
    bool opens = read.data.find("thinking\"") != std::string_view::npos;
    bool is_signed = read.data.find("\"signature_delta\"") != std::string_view::npos;
    bool closes = unsigned_block_ && read.data.find("\"content_block_stop\"") != std::string_view::npos;
    if (!opens && !is_signed && !closes) return void(out.append(event));
    data_.reserve(read.data.size() + kBodyPadding);
    data_ = read.data;
    std::string_view type;
    Sign sign;
    std::string_view index;
    Walk& walk = reader_.walk();
    Result<void> good = walk.read_object(data_, [&](std::string_view name, Value& value) {
        if (name == "content_block" || name == "delta") {
            sign = read_sign(walk, value);
        } else if (std::string_view raw = walk.raw(value); name == "type") {
            type = raw;
        } else if (name == "index") {
            index = raw;
        }
    });
    bool starts = type == "\"content_block_start\"";
    if (good && starts) unsigned_block_ = sign.is_thinking();
    // Empty at the beginning of a block: the signature comes as a delta, which may have several parts.
    std::string_view opaque = starts && sign.signature == "\"\"" ? std::string_view() : sign.opaque();
    bool first = sign.type == "redacted_thinking" || unsigned_block_;
    if (good && !opaque.empty() && first) {
        unsigned_block_ = false;
        const char* place = read.data.data() + (opaque.data() + 1 - data_.data());
        return append_with(out, event, place, mark_);
    }
    if (good && closes && type == "\"content_block_stop\"") {
        unsigned_block_ = false;
        fmt::format_to(
            std::back_inserter(out),
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{},\"delta\":"
            "{{\"type\":\"signature_delta\",\"signature\":\"{}\"}}}}\n\n",
            index,
            mark_
        );
    }
    out.append(event);
}

}  // namespace balancer::wire::convert
