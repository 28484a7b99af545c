#include "tests/support/reply.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tests/support/anthropic_dialect.hpp"
#include "tests/support/openai_dialect.hpp"
#include "tests/support/thinking_rules.hpp"

namespace balancer::tests {
namespace {

// A body before framing.
struct Payload {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::vector<Piece> pieces;
    Framing natural_framing = Framing::kContentLength;
};

Payload whole(unsigned status, std::string body) {
    return {status, "application/json", {{std::move(body)}}, Framing::kContentLength};
}

Payload stream_payload(const Step& step, const RecordedRequest& request) {
    Payload payload{step.status, "text/event-stream; charset=utf-8", {}, Framing::kChunked};
    std::vector<StreamEvent> events =
        step.events ? *step.events : anthropic_stream(step.message, request.model, request.number);
    for (StreamEvent& event : events) {
        payload.pieces.push_back({std::move(event.bytes), event.gap});
    }
    if (step.error_event) {
        payload.pieces.resize(std::min(step.error_event->after_events, payload.pieces.size()));
        payload.pieces.push_back({anthropic_error_event(step.error_event->error)});
    }
    return payload;
}

Payload message_payload(const Step& step, const RecordedRequest& request) {
    if (step.body) return whole(step.status, *step.body);
    if (step.error || step.status >= 400) {
        ErrorSpec error = step.error.value_or(ErrorSpec{});
        return whole(step.status, anthropic_error(error, step.status, request.number));
    }
    if (auto refused = refused_thinking(request.body, signature_of(step.message))) {
        return whole(400, anthropic_error(*refused, 400, request.number));
    }
    if (step.events || step.error_event || request.stream) return stream_payload(step, request);
    return whole(step.status, anthropic_message(step.message, request.model, request.number));
}

Payload completion_payload(const Step& step, const RecordedRequest& request) {
    if (step.body) return whole(step.status, *step.body);
    if (step.error || step.status >= 400) {
        return whole(step.status, openai_error(step.error.value_or(ErrorSpec{}), step.status));
    }
    if (!step.events && !request.stream) {
        return whole(step.status, chat_completion(step.message, request.model, request.number));
    }
    Payload payload{step.status, "text/event-stream; charset=utf-8", {}, Framing::kChunked};
    bool usage = request.body.find("include_usage") != std::string::npos;
    std::vector<StreamEvent> events =
        step.events ? *step.events : chat_stream(step.message, request.model, request.number, usage);
    for (StreamEvent& event : events) payload.pieces.push_back({std::move(event.bytes), event.gap});
    if (step.error_event) {
        payload.pieces.resize(std::min(step.error_event->after_events, payload.pieces.size()));
        payload.pieces.push_back({"data: " + openai_error(step.error_event->error, 500) + "\n\n"});
    }
    return payload;
}

// What each path of the API answers. Faults apply to all of them alike.
Payload payload_of(const Step& step, const RecordedRequest& request) {
    std::string path = request.path();
    if (request.method == "POST" && path == "/v1/messages") return message_payload(step, request);
    if (request.method == "POST" && path.ends_with("/chat/completions")) {
        return completion_payload(step, request);
    }
    if (step.body || step.error || step.status >= 400) return message_payload(step, request);
    if (request.method == "POST" && path == "/v1/messages/count_tokens") {
        return whole(200, anthropic_token_count(request.body));
    }
    if (request.method == "GET" && path == "/v1/models") return whole(200, anthropic_models());
    if (request.method == "HEAD" && path == "/") return whole(200, "");
    return whole(404, anthropic_error({}, 404, request.number));
}

std::string_view reason_of(unsigned status) {
    static const std::map<unsigned, std::string_view> kReasons = {
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {408, "Request Timeout"},
        {413, "Payload Too Large"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {529, "Overloaded"},
    };
    auto found = kReasons.find(status);
    return found == kReasons.end() ? "Scripted" : found->second;
}

std::string head_of(
    const Step& step, const RecordedRequest& request, const Payload& payload, Framing framing
) {
    HeaderLines lines = {
        {"content-type", payload.content_type},
        {request.path().ends_with("/chat/completions") ? "x-request-id" : "request-id",
         fmt::format("req_fake_{}", request.number)},
    };
    if (framing == Framing::kChunked) lines.emplace_back("transfer-encoding", "chunked");
    if (framing == Framing::kContentLength) {
        std::size_t length = 0;
        for (const Piece& piece : payload.pieces) length += piece.bytes.size();
        std::ptrdiff_t said = static_cast<std::ptrdiff_t>(length) + step.content_length_off_by;
        lines.emplace_back("content-length", std::to_string(std::max<std::ptrdiff_t>(said, 0)));
    }
    if (framing == Framing::kUntilClose || step.closing == Closing::kAnnounced) {
        lines.emplace_back("connection", "close");
    }
    std::erase_if(lines, [&](const auto& line) {
        return find_header(step.headers, line.first) != nullptr;
    });
    lines.insert(lines.end(), step.headers.begin(), step.headers.end());
    std::string head;
    for (unsigned i = 0; i < step.informational; ++i) head += "HTTP/1.1 100 Continue\r\n\r\n";
    head += fmt::format("HTTP/1.1 {} {}\r\n", payload.status, reason_of(payload.status));
    for (const auto& [name, value] : lines) head += fmt::format("{}: {}\r\n", name, value);
    return head + "\r\n";
}

constexpr std::string_view kTerminalChunk = "0\r\n\r\n";

void frame_as_chunks(std::vector<Piece>& pieces) {
    for (Piece& piece : pieces) {
        if (piece.bytes.empty()) continue;
        piece.bytes = fmt::format("{:x}\r\n{}\r\n", piece.bytes.size(), piece.bytes);
    }
    pieces.push_back({std::string(kTerminalChunk)});
}

// Keeps the first `count` bytes of pieces[first...].
void keep_bytes(std::vector<Piece>& pieces, std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < pieces.size(); ++i) {
        if (count < pieces[i].bytes.size()) {
            pieces[i].bytes.resize(count);
            pieces.resize(i + 1);
            return;
        }
        count -= pieces[i].bytes.size();
    }
}

// pieces[0] is the head.
void break_off(Reply& reply, const Break& fault, Framing framing) {
    switch (fault.after) {
        case Break::After::kHeadBytes:
            reply.pieces.resize(1);
            keep_bytes(reply.pieces, 0, fault.count);
            break;
        case Break::After::kBodyBytes:
            keep_bytes(reply.pieces, 1, fault.count);
            break;
        case Break::After::kEvents:
            reply.pieces.resize(std::min(fault.count + 1, reply.pieces.size()));
            break;
    }
    switch (fault.how) {
        case Break::How::kReset:
            reply.ending = Ending::kReset;
            break;
        case Break::How::kClose:
            reply.ending = Ending::kClose;
            break;
        case Break::How::kHang:
            reply.ending = Ending::kHang;
            break;
        case Break::How::kFinish:
            if (framing == Framing::kChunked) {
                reply.pieces.push_back({std::string(kTerminalChunk)});
            } else {
                reply.ending = Ending::kClose;
            }
            break;
        case Break::How::kBadChunk:
            reply.pieces.push_back({"no-chunk-size\r\n"});
            reply.ending = Ending::kClose;
            break;
    }
}

void trickle(std::vector<Piece>& pieces, std::size_t bytes, milliseconds gap) {
    std::vector<Piece> drops;
    for (const Piece& piece : pieces) {
        for (std::size_t at = 0; at < piece.bytes.size(); at += bytes) {
            drops.push_back({piece.bytes.substr(at, bytes), at == 0 ? piece.gap + gap : gap});
        }
    }
    pieces = std::move(drops);
}

Ending natural_ending(const Step& step, const RecordedRequest& request, Framing framing) {
    if (step.closing == Closing::kSilent) return Ending::kCloseAtOnce;
    if (framing == Framing::kUntilClose || step.closing == Closing::kAnnounced) {
        return Ending::kClose;
    }
    if (framing == Framing::kContentLength && step.content_length_off_by > 0) {
        return Ending::kClose;
    }
    bool peer_closes =
        same_name(request.header("connection"), "close") || request.version == "HTTP/1.0";
    return peer_closes ? Ending::kClose : Ending::kKeepAlive;
}

}  // namespace

Reply compose_reply(const Step& step, const RecordedRequest& request) {
    if (step.refuse) return {{}, Ending::kReset};
    Payload payload = payload_of(step, request);
    Framing framing = step.framing == Framing::kNatural ? payload.natural_framing : step.framing;
    Reply reply;
    std::string head = head_of(step, request, payload, framing);
    if (step.garbage_head) head = "\x16\x03 this is not HTTP\r\n\r\n";
    reply.pieces.push_back({std::move(head), step.delay});
    if (request.method != "HEAD") {
        if (framing == Framing::kChunked) frame_as_chunks(payload.pieces);
        for (Piece& piece : payload.pieces) reply.pieces.push_back(std::move(piece));
    }
    reply.ending = step.garbage_head ? Ending::kClose : natural_ending(step, request, framing);
    if (step.break_off) break_off(reply, *step.break_off, framing);
    if (step.trickle_bytes > 0) trickle(reply.pieces, step.trickle_bytes, step.trickle_gap);
    return reply;
}

}  // namespace balancer::tests
