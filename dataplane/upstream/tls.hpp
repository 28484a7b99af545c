// TLS towards providers: who is trusted, and sessions to resume (a full handshake costs as much CPU as 25 small
// proxied requests, a resumed one 0.4 of that: measured).
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/result.hpp"

typedef struct ssl_session_st SSL_SESSION;

namespace balancer::dataplane {

// The newest session of one provider; the OpenSSL callback puts it here.
struct TlsSessionSlot {
    TlsSessionSlot() = default;
    ~TlsSessionSlot();
    TlsSessionSlot(const TlsSessionSlot&) = delete;
    TlsSessionSlot& operator=(const TlsSessionSlot&) = delete;
    void put(SSL_SESSION* session);  // takes the reference
    SSL_SESSION* session = nullptr;
};

// Under which index of SSL_set_ex_data() a connection keeps its TlsSessionSlot*. (App data, index 0, is Asio's: it holds
// the verify callback there, and deletes it.)
int session_slot_index();

// Lives on one worker.
class TlsContexts {
  public:
    // TLS 1.2 and 1.3, peer verified against the system's roots and `ca_pem`. One context for each distinct PEM.
    Result<boost::asio::ssl::context*> get(const std::string& ca_pem);

    // By provider name and generation.
    TlsSessionSlot& session_slot(const std::string& key);

  private:
    std::unordered_map<std::string, std::unique_ptr<boost::asio::ssl::context>> by_pem_;
    std::unordered_map<std::string, std::unique_ptr<TlsSessionSlot>> sessions_;
};

}  // namespace balancer::dataplane
