#include "dataplane/upstream/tls.hpp"

#include <openssl/ssl.h>

namespace balancer::dataplane {
namespace {

constexpr std::size_t kSessionSlotsMax = 4096;

// OpenSSL hands over a new session whenever the peer sends a ticket; TLS 1.3 does so with the first read.
int on_new_session(SSL* ssl, SSL_SESSION* session) {
    auto* slot = static_cast<TlsSessionSlot*>(SSL_get_ex_data(ssl, session_slot_index()));
    if (slot == nullptr) return 0;
    slot->put(session);
    return 1;
}

}  // namespace

int session_slot_index() {
    static const int kIndex = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return kIndex;
}

TlsSessionSlot::~TlsSessionSlot() {
    if (session != nullptr) SSL_SESSION_free(session);
}

void TlsSessionSlot::put(SSL_SESSION* newer) {
    if (session != nullptr) SSL_SESSION_free(session);
    session = newer;
}

Result<boost::asio::ssl::context*> TlsContexts::get(const std::string& ca_pem) {
    auto found = by_pem_.find(ca_pem);
    if (found != by_pem_.end()) return found->second.get();
    namespace ssl = boost::asio::ssl;
    auto context = std::make_unique<ssl::context>(ssl::context::tls_client);
    SSL_CTX* native = context->native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(native, on_new_session);
    ErrorCode ec;
    context->set_verify_mode(ssl::verify_peer, ec);
    if (!ec) context->set_default_verify_paths(ec);
    if (!ec && !ca_pem.empty()) {
        context->add_certificate_authority(boost::asio::buffer(ca_pem), ec);
    }
    if (ec) return Error{ec, "cannot use the provider's ca_file: " + ec.message()};
    ssl::context* made = context.get();
    by_pem_.emplace(ca_pem, std::move(context));
    return made;
}

TlsSessionSlot& TlsContexts::session_slot(const std::string& key) {
    // Keys hold the provider's generation, so old ones pile up only with many reloads; streams that are open hold
    // pointers, so nothing is removed.
    if (sessions_.size() >= kSessionSlotsMax && !sessions_.contains(key)) {
        return *sessions_.begin()->second;
    }
    auto& slot = sessions_[key];
    if (!slot) slot = std::make_unique<TlsSessionSlot>();
    return *slot;
}

}  // namespace balancer::dataplane
