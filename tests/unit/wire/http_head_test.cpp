#include "dataplane/wire/http_head.hpp"

#include <gtest/gtest.h>

#include <string>

namespace balancer::wire {
namespace {

std::string request(const std::string& lines) { return "POST /v1/messages?beta=true HTTP/1.1\r\n" + lines + "\r\n"; }

TEST(HttpHead, TakesARequestApartInWireOrder) {
    std::string text = request("Host: a\r\nX-One: 1\r\nx-two:  spaced \r\nContent-Length: 12\r\n");
    Result<RequestHead> head = parse_request_head(text);
    ASSERT_TRUE(head) << head.error().text();
    EXPECT_EQ(head->method, "POST");
    EXPECT_EQ(head->path, "/v1/messages");
    EXPECT_EQ(head->query, "?beta=true");
    ASSERT_EQ(head->fields.size(), 4u);
    EXPECT_EQ(head->fields[1].name, "X-One");
    EXPECT_EQ(head->fields[2].value, "spaced");
    EXPECT_EQ(head->framing, Framing::kLength);
    EXPECT_EQ(head->content_length, 12u);
    EXPECT_TRUE(head->keep_alive);
}

TEST(HttpHead, RefusesEveryAmbiguousFraming) {
    for (const char* lines : {
             "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
             "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n",
             "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
             "Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
             "Host: a\r\nContent-Length: 1, 1\r\n",
             "Host: a\r\nContent-Length: +1\r\n",
             "Host: a\r\nContent-Length: -1\r\n",
             "Host: a\r\nContent-Length: 0x1\r\n",
             "Host: a\r\nContent-Length: \r\n",
             "Host: a\r\nContent-Length: 99999999999999999999999\r\n",
             "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
             "Host: a\r\nTransfer-Encoding: chunked, chunked\r\n",
             "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
             "Host: a\r\nTransfer-Encoding: xchunked\r\n",
             "Host: a\r\nContent-Length : 1\r\n",
             "Content-Length: 1\r\n",
             "Host: a\r\nHost: b\r\n",
             "Host: a\r\nExpect: something\r\n",
             "Host: a\r\n: nameless\r\n",
             "Host: a\r\nna me: x\r\n",
         }) {
        EXPECT_FALSE(parse_request_head(request(lines))) << lines;
    }
    EXPECT_FALSE(parse_request_head("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"));
    EXPECT_FALSE(parse_request_head("POST http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_FALSE(parse_request_head("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_FALSE(parse_request_head("POST / HTTP/3.0\r\nHost: a\r\n\r\n"));
}

TEST(HttpHead, ScanningNeedsNoLuckWithTheSplit) {
    std::string text = request("Host: a\r\nX: y\r\n") + "body";
    std::size_t size = text.size() - 4;
    for (std::size_t split = 0; split <= text.size(); ++split) {
        HeadScan first = scan_head(std::string_view(text).substr(0, split), 0);
        if (split < size) {
            EXPECT_EQ(first.state, HeadScan::State::kIncomplete) << split;
            first = scan_head(text, first.scanned);
        }
        EXPECT_EQ(first.state, HeadScan::State::kComplete) << split;
        EXPECT_EQ(first.size, size) << split;
    }
}

TEST(HttpHead, ScanningRefusesWhatSmugglesLines) {
    for (std::string text : {
             std::string("GET / HTTP/1.1\nHost: a\n\n"),
             std::string("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
             std::string("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"),
             std::string("GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n\r\n"),
             std::string("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"),
             std::string("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 28),
         }) {
        EXPECT_EQ(scan_head(text, 0).state, HeadScan::State::kBad) << text;
    }
}

TEST(HttpHead, AResponsesBodyIsAsItsHeadSays) {
    auto framing = [](const std::string& head, ResponseTo to = ResponseTo::kOther) {
        Result<ResponseHead> parsed = parse_response_head(head, to);
        EXPECT_TRUE(parsed) << head;
        return parsed ? parsed->framing : Framing::kNone;
    };
    EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), Framing::kLength);
    EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", ResponseTo::kHead), Framing::kNone);
    EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), Framing::kChunked);
    EXPECT_EQ(framing("HTTP/1.1 200 OK\r\n\r\n"), Framing::kUntilClose);
    EXPECT_EQ(framing("HTTP/1.1 204 No Content\r\n\r\n"), Framing::kNone);
    EXPECT_EQ(framing("HTTP/1.1 100 Continue\r\n\r\n"), Framing::kNone);
    EXPECT_FALSE(parse_response_head("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", ResponseTo::kOther));
}

TEST(HttpHead, HopByHopIsWhatTheStandardAndTheConnectionFieldName) {
    HeaderFields fields = {{"Connection", "close, X-Mine"}, {"X-Mine", "1"}, {"X-Other", "2"}};
    for (const char* name : {"Connection", "TE", "Keep-Alive", "Upgrade", "Proxy-Authorization", "x-mine"}) {
        EXPECT_TRUE(is_hop_by_hop(name, fields)) << name;
    }
    EXPECT_FALSE(is_hop_by_hop("X-Other", fields));
    EXPECT_FALSE(is_hop_by_hop("anthropic-beta", fields));
}

}  // namespace
}  // namespace balancer::wire
