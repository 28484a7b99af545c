#include "controlplane/oauth/post_order.hpp"

#include "base/aead.hpp"
#include "base/bytes.hpp"

namespace balancer::controlplane {
namespace {

// A key seals one answer and nothing else, so its nonce need not be told apart from another one.
const std::string kNonce(kAeadNonceBytes, '\0');
constexpr std::size_t kHeadersMax = 1000;

void put_text(std::string& out, std::string_view text) {
    put_number(out, static_cast<std::uint32_t>(text.size()));
    out.append(text);
}

std::string text(ByteReader& in) {
    return std::string(in.bytes(in.number<std::uint32_t>()));
}

void put_headers(std::string& out, const HttpHeaders& headers) {
    put_number(out, static_cast<std::uint32_t>(headers.size()));
    for (const auto& [name, value] : headers) {
        put_text(out, name);
        put_text(out, value);
    }
}

HttpHeaders headers(ByteReader& in) {
    HttpHeaders out;
    auto count = in.number<std::uint32_t>();
    for (std::uint32_t i = 0; i < count && i < kHeadersMax && !in.short_of(); ++i) {
        std::string name = text(in);
        std::string value = text(in);
        out.emplace_back(std::move(name), std::move(value));
    }
    return out;
}

void put_request(std::string& out, const HttpRequest& request) {
    put_number(out, static_cast<std::uint8_t>(request.tls));
    put_text(out, request.host);
    put_number(out, request.port);
    put_text(out, request.method);
    put_text(out, request.target);
    put_headers(out, request.headers);
    put_text(out, request.body);
    put_text(out, request.ca_pem);
    put_number(out, static_cast<std::uint64_t>(request.timeout.count()));
    put_number(out, static_cast<std::uint64_t>(request.answer_bytes_max));
    put_number(out, static_cast<std::uint8_t>(request.proxy.has_value()));
    if (!request.proxy) return;
    put_number(out, static_cast<std::uint8_t>(request.proxy->kind));
    put_text(out, request.proxy->host);
    put_number(out, request.proxy->port);
    put_text(out, request.proxy->user);
    put_text(out, request.proxy->password);
}

HttpRequest read_request(ByteReader& in) {
    HttpRequest out;
    out.tls = in.number<std::uint8_t>() != 0;
    out.host = text(in);
    out.port = in.number<std::uint16_t>();
    out.method = text(in);
    out.target = text(in);
    out.headers = headers(in);
    out.body = text(in);
    out.ca_pem = text(in);
    out.timeout = Milliseconds(static_cast<std::int64_t>(in.number<std::uint64_t>()));
    out.answer_bytes_max = in.number<std::uint64_t>();
    if (in.number<std::uint8_t>() == 0) return out;
    ProxySpec& proxy = out.proxy.emplace();
    proxy.kind = static_cast<ProxyKind>(in.number<std::uint8_t>());
    proxy.host = text(in);
    proxy.port = in.number<std::uint16_t>();
    proxy.user = text(in);
    proxy.password = text(in);
    return out;
}

std::string bound_to(std::string_view account, std::string_view attempt) {
    std::string aad = "claude-code-provider-balancer refresh answer 1";
    put_text(aad, account);
    put_text(aad, attempt);
    return aad;
}

}  // namespace

std::string to_bytes(const PostOrder& order) {
    std::string out;
    // No copy is left behind by growth.
    out.reserve(order.request.body.size() + order.request.ca_pem.size() + (16 << 10));
    put_text(out, order.account);
    put_text(out, order.attempt);
    put_text(out, order.answer_key.view());
    put_text(out, order.folder.native());
    put_request(out, order.request);
    return out;
}

Result<PostOrder> read_post_order(std::string_view bytes) {
    ByteReader in(bytes);
    PostOrder order;
    order.account = text(in);
    order.attempt = text(in);
    order.answer_key = SecretBytes(in.bytes(in.number<std::uint32_t>()));
    order.folder = text(in);
    order.request = read_request(in);
    if (in.short_of() || !in.rest().empty() || order.answer_key.size() != kAeadKeyBytes) {
        return invalid("the order is not whole");
    }
    return order;
}

std::string seal_answer(const PostOrder& order, const PostAnswer& answer) {
    std::string plain;
    plain.reserve((answer.response ? answer.response->body.size() : 0) + (80 << 10));
    put_number(plain, static_cast<std::uint8_t>(answer.sent));
    put_number(plain, static_cast<std::uint8_t>(answer.response.has_value()));
    if (answer.response) {
        put_number(plain, static_cast<std::uint32_t>(answer.response->status));
        put_headers(plain, answer.response->headers);
        put_text(plain, answer.response->body);
    } else {
        put_text(plain, answer.response.error().text());
    }
    std::string sealed = aead_seal(order.answer_key.view(), kNonce, bound_to(order.account, order.attempt), plain);
    wipe(plain);
    return sealed;
}

std::optional<PostAnswer> open_answer(std::string_view account, const RefreshClaim& claim, std::string_view sealed) {
    SecretBytes plain;
    if (claim.answer_key.size() != kAeadKeyBytes ||
        !aead_open(claim.answer_key.view(), kNonce, bound_to(account, claim.attempt), sealed, plain)) {
        return std::nullopt;
    }
    ByteReader in(plain.view());
    PostAnswer answer;
    answer.sent = in.number<std::uint8_t>() != 0;
    if (in.number<std::uint8_t>() != 0) {
        HttpResponse response;
        response.status = in.number<std::uint32_t>();
        response.headers = headers(in);
        response.body = text(in);
        answer.response = std::move(response);
    } else {
        answer.response = invalid(text(in));
    }
    if (in.short_of()) return std::nullopt;
    return answer;
}

}  // namespace balancer::controlplane
