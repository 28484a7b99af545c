// What a fake provider saw of one request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/support/http_text.hpp"

namespace balancer::tests {

// How answering it went.
enum class Playback {
    kRunning,
    kPlayed,     // all that the script wanted was sent
    kAbandoned,  // the peer closed or reset the connection before that
};

struct RecordedRequest {
    std::uint64_t number = 0;      // from 1, in the order of arrival
    std::uint64_t connection = 0;  // from 1, in the order of accepts
    std::string method;
    std::string target;   // as sent, with the query
    std::string version;  // HTTP/1.1
    HeaderLines headers;  // as sent, in wire order
    std::string body;     // without chunk framing; not complete when the peer went away
    bool body_complete = false;
    Playback playback = Playback::kRunning;

    // Of the TLS connection; empty and false without one.
    std::string tls_server_name;
    bool tls_resumed = false;

    // Of the body, when it is JSON.
    std::string model;
    bool stream = false;

    std::string path() const { return target.substr(0, target.find('?')); }
    std::string header(std::string_view name) const { return header_or_empty(headers, name); }
    bool has_header(std::string_view name) const { return find_header(headers, name) != nullptr; }
};

}  // namespace balancer::tests
