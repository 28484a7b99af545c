// Requests that two servers could read differently: refused, the connection closed, nothing passed
// on.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using namespace std::string_literals;

struct Attempt {
    const char* name;
    std::string bytes;
};

constexpr const char* kHost = "Host: h\r\nContent-Type: application/json\r\n";
constexpr const char* kGood = R"({"model":"m","messages":[]})";  // 27 bytes

std::string head(std::string_view lines) {
    return fmt::format("POST /v1/messages HTTP/1.1\r\n{}{}\r\n", kHost, lines);
}

std::string with_length(std::string_view lines) {
    return head(fmt::format("{}Content-Length: 27\r\n", lines)) + kGood;
}

std::string with_chunks(std::string_view chunks) {
    return head("Transfer-Encoding: chunked\r\n").append(chunks);
}

std::vector<Attempt> attempts_at_framing() {
    std::string chunk = fmt::format("1b\r\n{}\r\n0\r\n\r\n", kGood);
    return {
        {"both lengths", head("Content-Length: 27\r\nTransfer-Encoding: chunked\r\n") + chunk},
        {"both lengths, the other way round",
         head("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n") + chunk},
        {"two lengths", with_length("Content-Length: 3\r\n")},
        {"two equal lengths", with_length("Content-Length: 27\r\n")},
        {"a list of lengths", head("Content-Length: 27, 27\r\n") + kGood},
        {"a signed length", head("Content-Length: +27\r\n") + kGood},
        {"a negative length", head("Content-Length: -1\r\n") + kGood},
        {"a hexadecimal length", head("Content-Length: 0x1b\r\n") + kGood},
        {"an empty length", head("Content-Length:\r\n") + kGood},
        {"a length beyond 64 bits", head("Content-Length: 99999999999999999999999\r\n") + kGood},
        {"a length with a space before the colon", head("Content-Length : 27\r\n") + kGood},
        {"two codings", head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + chunk
        },
        {"a list of codings", head("Transfer-Encoding: gzip, chunked\r\n") + chunk},
        {"chunked twice", head("Transfer-Encoding: chunked, chunked\r\n") + chunk},
        {"an unknown coding", head("Transfer-Encoding: xchunked\r\n") + chunk},
        {"identity", head("Transfer-Encoding: identity\r\n") + chunk},
        {"a vertical tab before the coding",
         head("Transfer-Encoding:\x0b"
              "chunked\r\n"
         ) + chunk},
        {"a coding in HTTP/1.0",
         fmt::format(
             "POST /v1/messages HTTP/1.0\r\n{}Transfer-Encoding: chunked\r\n\r\n{}", kHost, chunk
         )},
    };
}

std::vector<Attempt> attempts_at_chunks() {
    std::string good(kGood);
    return {
        {"no chunk size", with_chunks("\r\n" + good + "\r\n0\r\n\r\n")},
        {"letters as a chunk size", with_chunks("zz\r\n" + good + "\r\n0\r\n\r\n")},
        {"a 0x chunk size", with_chunks("0x1b\r\n" + good + "\r\n0\r\n\r\n")},
        {"a negative chunk size", with_chunks("-1b\r\n" + good + "\r\n0\r\n\r\n")},
        {"a signed chunk size", with_chunks("+1b\r\n" + good + "\r\n0\r\n\r\n")},
        {"a space before the chunk size", with_chunks(" 1b\r\n" + good + "\r\n0\r\n\r\n")},
        {"a chunk size that overflows",
         with_chunks("1000000000000001b\r\n" + good + "\r\n0\r\n\r\n")},
        {"a chunk size ended by LF", with_chunks("1b\n" + good + "\r\n0\r\n\r\n")},
        {"a chunk ended by LF", with_chunks("1b\r\n" + good + "\n0\r\n\r\n")},
        {"a chunk longer than it says", with_chunks("1a\r\n" + good + "\r\n0\r\n\r\n")},
        {"NUL in a chunk size", with_chunks("1b\0\r\n"s + good + "\r\n0\r\n\r\n")},
    };
}

std::vector<Attempt> attempts_at_the_head() {
    return {
        {"a folded header", with_length("X-Folded: one\r\n two\r\n")},
        {"a header folded by a tab", with_length("X-Folded: one\r\n\ttwo\r\n")},
        {"a first line that begins with a space",
         fmt::format("POST /v1/messages HTTP/1.1\r\n Host: h\r\n\r\n")},
        {"NUL in a value", with_length("X-Nul: a\0b\r\n"s)},
        {"NUL in a name", with_length("X-\0Nul: a\r\n"s)},
        {"NUL in the target", "POST /v1/messages\0 HTTP/1.1\r\nHost: h\r\n\r\n"s},
        {"a bare LF", with_length("X-One: a\nX-Two: b\r\n")},
        {"a bare LF at the end of the head", "POST /v1/messages HTTP/1.1\r\nHost: h\n\n"},
        {"a bare CR", with_length("X-One: a\rX-Two: b\r\n")},
        {"a line without a colon", with_length("X-No-Colon\r\n")},
        {"a space in a name", with_length("X No: a\r\n")},
        {"an empty name", with_length(": a\r\n")},
        {"no host", "POST /v1/messages HTTP/1.1\r\nContent-Length: 27\r\n\r\n"s + kGood},
        {"two hosts", with_length("Host: other\r\n")},
        {"an absolute target", "POST http://h/v1/messages HTTP/1.1\r\nHost: h\r\n\r\n"},
        {"an authority as the target", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"},
        {"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
        {"HTTP/0.9", "GET /v1/messages\r\n\r\n"},
        {"not HTTP at all", "\x16\x03\x01\x02\x00\x01\r\n\r\n"s},
        {"an expectation of another kind", with_length("Expect: 200-ok\r\n")},
    };
}

class Smuggling : public testing::Test {
  protected:
    void expect_refused(const Attempt& attempt, std::size_t split) {
        SCOPED_TRACE(fmt::format("{}, split by {}", attempt.name, split));
        Result<RawClient> client = RawClient::connect(fleet_.port());
        ASSERT_TRUE(client);
        // What a lenient server would take for a second request.
        std::string bytes = attempt.bytes + with_length("X-Smuggled: yes\r\n");
        std::size_t step = split == 0 ? bytes.size() : split;
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            // The end may meet a connection that is closed by now.
            if (!client->send(std::string_view(bytes).substr(at, step))) break;
        }
        Result<RawResponse> answer = client->read_response();
        ASSERT_TRUE(answer) << answer.error().text();
        EXPECT_EQ(answer->status, 400u);
        EXPECT_EQ(answer->header("connection"), "close");
        EXPECT_EQ(answer->header("content-type"), "application/json");
        auto json = nlohmann::json::parse(answer->body, nullptr, false);
        ASSERT_TRUE(json.is_object()) << answer->body;
        EXPECT_EQ(json.value("type", ""), "error");
        EXPECT_EQ(json["error"].value("type", ""), "invalid_request_error");
        EXPECT_EQ(json.value("request_id", ""), answer->header("x-balancer-request-id"));
        EXPECT_TRUE(client->wait_for_close(std::chrono::milliseconds(1500)));
        EXPECT_EQ(client->unread(), "");
        ids_.push_back(answer->header("x-balancer-request-id"));
    }

    void expect_all_refused(const std::vector<Attempt>& attempts) {
        for (const Attempt& attempt : attempts) {
            for (std::size_t split : {std::size_t{0}, std::size_t{11}})
                expect_refused(attempt, split);
        }
        EXPECT_EQ(provider_.connection_count(), 0u) << "something was passed on";
        // Nothing sticks: the next connection is served.
        EXPECT_EQ(exchange_raw(fleet_.port(), with_length("")).status, 200u);
        EXPECT_EQ(provider_.request_count(), 1u);
        for (const std::string& id : {ids_.front(), ids_.back()}) {
            nlohmann::json record = access_record(fleet_, id);
            EXPECT_EQ(record.value("outcome", ""), "bad_request");
            EXPECT_EQ(record.value("status", 0), 400);
        }
    }

    FakeProvider provider_;
    Fleet fleet_{to_yaml({{{"main", provider_.base_url()}}}), {1, 1}};
    std::vector<std::string> ids_;
};

TEST_F(Smuggling, AmbiguousLengthsAreRefused) {
    expect_all_refused(attempts_at_framing());
}

TEST_F(Smuggling, MalformedChunksAreRefused) {
    expect_all_refused(attempts_at_chunks());
}

TEST_F(Smuggling, MalformedHeadsAreRefused) {
    expect_all_refused(attempts_at_the_head());
}

TEST_F(Smuggling, WhatIsOnlyUnusualIsServed) {
    std::string good(kGood);
    std::vector<Attempt> unusual = {
        {"a chunk extension", with_chunks("1b;name=\"value\"\r\n" + good + "\r\n0;x\r\n\r\n")},
        {"a trailer",
         with_chunks("1b\r\n" + good + "\r\n0\r\nX-Trailer: 1\r\nContent-Length: 3\r\n\r\n")},
        {"an upper-case chunk size with zeros", with_chunks("0001B\r\n" + good + "\r\n000\r\n\r\n")
        },
        {"an upper-case coding",
         head("TRANSFER-ENCODING: Chunked\r\n") + "1b\r\n" + good + "\r\n0\r\n\r\n"},
        {"a length with zeros", head("content-length: 0027\r\n") + good},
        {"an empty line first", "\r\n\r\n" + with_length("")},
        {"one byte a chunk", with_chunks([&] {
             std::string chunks;
             for (char c : good) chunks += fmt::format("1\r\n{}\r\n", c);
             return chunks + "0\r\n\r\n";
         }())},
    };
    for (const Attempt& one : unusual) {
        for (std::size_t split : {std::size_t{0}, std::size_t{1}}) {
            SCOPED_TRACE(fmt::format("{}, split by {}", one.name, split));
            provider_.clear_requests();
            Result<RawClient> client = RawClient::connect(fleet_.port());
            ASSERT_TRUE(client);
            std::string bytes = one.bytes + with_length("X-Second: yes\r\n");
            std::size_t step = split == 0 ? bytes.size() : split;
            for (std::size_t at = 0; at < bytes.size(); at += step) {
                ASSERT_TRUE(client->send(std::string_view(bytes).substr(at, step)));
            }
            for (int i = 0; i < 2; ++i) {
                Result<RawResponse> answer = client->read_response();
                ASSERT_TRUE(answer) << i;
                EXPECT_EQ(answer->status, 200u) << answer->body;
            }
            std::vector<RecordedRequest> seen = provider_.requests();
            ASSERT_EQ(seen.size(), 2u);
            EXPECT_EQ(seen[0].body, good);
            EXPECT_EQ(seen[0].header("x-trailer"), "");
            EXPECT_EQ(seen[0].header("content-length"), "27");
            EXPECT_EQ(seen[1].header("x-second"), "yes");
        }
    }
}

}  // namespace
}  // namespace balancer::tests
