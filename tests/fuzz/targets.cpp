#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

Target http_head_target() {
    return {
        "http_head",
        http_head,
        {
            "POST /v1/messages?beta=true HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nx-api-key: "
            "k\r\n\r\n{}",
            "POST /v1/messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: "
            "keep-alive, x-hop\r\nx-hop: 1\r\nAuthorization: Bearer balancer-key\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "HEAD /api/hello HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nanthropic-version: "
            "x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
            "chunked\r\n\r\n",
            "HTTP/1.1 429 Too Many\r\nretry-after: 5\r\nContent-Length: 2\r\nConnection: "
            "close\r\n\r\n{}",
            "HTTP/1.0 502 \r\n\r\n",
        },
        {
            "\r\n",
            "\n",
            "\r",
            ": ",
            " ",
            "\t",
            "Content-Length: 1\r\n",
            "Content-Length: 99\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Host: b\r\n",
            "Connection: close, x-api-key\r\n",
            "x-api-key: balancer-key\r\n",
            "authorization: bearer balancer-key\r\n",
            "HTTP/1.1",
            "HTTP/1.0",
            "POST ",
            "http://a/",
            "*",
            "x-balancer-request-id: theirs\r\n",
            "x-provider-used: theirs\r\n",
            "200",
            "204",
            "999",
        },
    };
}

Target chunked_target() {
    return {
        "chunked",
        chunked,
        {
            "5\r\nhello\r\n1;name=\"v\"\r\n \r\n00A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
            "0\r\n\r\nGET / HTTP/1.1\r\n",
            "3\r\na\r\n\r\n0\r\n\r\n",
            "10\r\n0123456789abcdef\r\n0\r\n\r\n",
        },
        {"\r\n",
         "0\r\n\r\n",
         "1\r\na\r\n",
         ";",
         "f",
         "F",
         "fffffffffffffff",
         "\n",
         "\r",
         "0x",
         "-",
         "+"},
    };
}

Target sse_target() {
    return {
        "sse",
        sse,
        {
            "event: message_start\ndata: {\"type\":\"message_start\"}\n\nevent: ping\ndata: "
            "{}\n\n: x\n\n",
            "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"event: error\"}}\n\n",
            "event: error\r\ndata: "
            "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\r\n\r\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        },
        {
            "\n\n",
            "\r\n\r\n",
            "\n\r\n",
            "\r\n\n",
            "\n",
            "\r",
            "event: ",
            "event:",
            "data: ",
            "data:",
            ":",
            "error",
            "ping",
            "\"type\"",
            "{\"type\":\"error\"",
            "message_stop",
        },
    };
}

Target body_target() {
    return {
        "body",
        body,
        {
            R"({"model":"claude-x","stream":true,"messages":[{"role":"user","content":"hi"}]})",
            R"({"provider":"alpha","model":"m"})",
            R"({ "model" : "m" , "provider" : "alpha" , "max_tokens" : 1.0e3 })",
            R"({"model":"m","metadata":{"user_id":"u_session_s"},"system":[{"type":"text"}],"tools":[]})",
            R"({"messages":[{"role":"system"},{"role":"user","content":[{"model":"n"}]}],"model":"m","provider":"p"})",
            R"({"model":"m","provider":{"of":"another kind"},"stream":null,"x":"\ud83d\ude00"})",
            R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}],"model":"m","prompt_cache_key":"k","user":"u"})",
            R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
        },
        with_json_words({
            "-0",
            "NaN",
            R"("model":"n",)",
            R"("model")",
            R"("provider":"p",)",
            R"(,"provider":"p")",
            R"("stream":true,)",
            R"("metadata":{"user_id":"u"},)",
            R"("messages":[],)",
            R"("system":"s",)",
            R"("tools":[1],)",
            R"({"role":"user"},)",
            R"({"role":"system"},)",
            R"("user":"u",)",
            R"(\ud800)",
            R"(\u006d)",
            "\xef\xbb\xbf",
            R"("error":null,)",
        }),
    };
}

Target text_target() {
    return {
        "text",
        text,
        {
            "key sk-ant-0123456789 refused",
            R"({"api_key":"a\"b","x":"y"})",
            "Authorization: Bearer abc http://user:pass@host:1/ p=1",
            "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xed\xa0\x80 \xff",
        },
        {
            "sk-",      "Bearer ", "bearer",        "basic ", "x-api-key", "api_key",
            "password", "token",   "authorization", ": ",     ":",         "=",
            "\"",       "'",       "\\\"",          "\\",     "://",       "@",
            " ",        "\n",      "[redacted]",    "\xc3",   "\xf4\x90",
        },
    };
}

Target last_known_good_target() {
    return {
        "last_known_good",
        last_known_good,
        last_known_good_seeds(),
        {std::string(1, '\0'),
         std::string(8, '\0'),
         "\xff\xff\xff\xff",
         "BALNCLKG",
         "dp1",
         "store",
         "\x0a",
         "\x12",
         "\x1a",
         "\x22",
         "https://",
         "a"},
    };
}

Target sealed_record_target() {
    std::vector<std::string> seeds = sealed_record_seeds();
    const std::string key(64, 'a');
    seeds.push_back(key + "\n" + std::string(64, 'b') + "\n");
    seeds.push_back("# keys\n" + key + ",\n" + std::string(64, '0') + "\n");
    return {
        "sealed_record",
        sealed_record,
        std::move(seeds),
        {std::string(1, '\0'), "BSR\x01", "BSR", "active ", "old ", "\n", ",", "#", " ", key, std::string(32, 'a')},
    };
}

}  // namespace

std::vector<std::string> with_json_words(std::vector<std::string> more) {
    std::vector<std::string> words = {
        "{", "}", "[", "]", ",", ":", "\"", "\\", " ", "\n", "null", "true", "false", "1e5", "\xff", "\xc3\xa9"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

const std::vector<Target>& targets() {
    static const std::vector<Target> kAll = {
        http_head_target(),
        chunked_target(),
        sse_target(),
        body_target(),
        text_target(),
        convert_requests_target(),
        convert_answers_target(),
        convert_streams_target(),
        answer_filters_target(),
        last_known_good_target(),
        count_tokens_target(),
        model_list_target(),
        sealed_record_target(),
        login_callback_target(),
    };
    return kAll;
}

}  // namespace balancer::fuzz
