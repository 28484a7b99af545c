#include "tests/support/test_ca.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>

#include "base/check.hpp"

namespace balancer::tests {
namespace {

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Memory = std::unique_ptr<BIO, Freed<BIO_free>>;

constexpr long kDaySeconds = 24L * 3600;

Key make_key() {
    Key key(EVP_EC_gen("P-256"));
    BALANCER_CHECK(key != nullptr);
    return key;
}

std::string text_of(BIO* memory) {
    char* data = nullptr;
    long size = BIO_get_mem_data(memory, &data);
    return std::string(data, static_cast<std::size_t>(size));
}

std::string pem_of(X509* certificate) {
    Memory memory(BIO_new(BIO_s_mem()));
    BALANCER_CHECK(PEM_write_bio_X509(memory.get(), certificate) == 1);
    return text_of(memory.get());
}

std::string pem_of(EVP_PKEY* key) {
    Memory memory(BIO_new(BIO_s_mem()));
    BALANCER_CHECK(
        PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1
    );
    return text_of(memory.get());
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    BALANCER_CHECK(extension != nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

Certificate make_certificate(EVP_PKEY* key, long serial, const char* common_name) {
    Certificate certificate(X509_new());
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
    X509_set_pubkey(certificate.get(), key);
    X509_NAME_add_entry_by_txt(
        X509_get_subject_name(certificate.get()),
        "CN",
        MBSTRING_ASC,
        reinterpret_cast<const unsigned char*>(common_name),
        -1,
        -1,
        0
    );
    return certificate;
}

void set_validity(X509* certificate, long from_seconds, long to_seconds) {
    X509_gmtime_adj(X509_getm_notBefore(certificate), from_seconds);
    X509_gmtime_adj(X509_getm_notAfter(certificate), to_seconds);
}

std::string alternative_names(const std::vector<std::string>& names) {
    std::string value;
    for (const std::string& name : names) {
        boost::system::error_code not_address;
        boost::asio::ip::make_address(name, not_address);
        value += value.empty() ? "" : ",";
        value += (not_address ? "DNS:" : "IP:") + name;
    }
    return value;
}

}  // namespace

struct TestCa::Keys {
    Key key;
    Certificate certificate;
};

TestCa::TestCa() : keys_(std::make_unique<Keys>()) {
    keys_->key = make_key();
    keys_->certificate = make_certificate(keys_->key.get(), serial_++, "Test CA");
    X509* certificate = keys_->certificate.get();
    set_validity(certificate, -kDaySeconds, 30 * kDaySeconds);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    BALANCER_CHECK(X509_sign(certificate, keys_->key.get(), EVP_sha256()) > 0);
    certificate_pem_ = pem_of(certificate);
}

TestCa::~TestCa() = default;

Identity TestCa::issue(const std::vector<std::string>& names, Validity validity) {
    Key key = make_key();
    Certificate certificate = make_certificate(key.get(), serial_++, "Fake provider");
    if (validity == Validity::kNow) {
        set_validity(certificate.get(), -kDaySeconds, 30 * kDaySeconds);
    } else {
        set_validity(certificate.get(), -2 * kDaySeconds, -kDaySeconds);
    }
    X509* issuer = keys_->certificate.get();
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer));
    add_extension(certificate.get(), issuer, NID_basic_constraints, "CA:FALSE");
    add_extension(certificate.get(), issuer, NID_ext_key_usage, "serverAuth");
    add_extension(certificate.get(), issuer, NID_subject_alt_name, alternative_names(names));
    BALANCER_CHECK(X509_sign(certificate.get(), keys_->key.get(), EVP_sha256()) > 0);
    return {pem_of(certificate.get()), pem_of(key.get())};
}

boost::asio::ssl::context server_context(const Identity& identity) {
    namespace ssl = boost::asio::ssl;
    ssl::context context(ssl::context::tls_server);
    context.set_options(
        ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3 |
        ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1
    );
    context.use_certificate_chain(boost::asio::buffer(identity.certificate_pem));
    context.use_private_key(boost::asio::buffer(identity.key_pem), ssl::context::pem);
    constexpr unsigned char kSessionContext[] = "fake";
    SSL_CTX_set_session_id_context(
        context.native_handle(), kSessionContext, sizeof(kSessionContext) - 1
    );
    return context;
}

}  // namespace balancer::tests
