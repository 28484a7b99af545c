#include "dataplane/wire/signature.hpp"

#include <openssl/rand.h>
#define XXH_STATIC_LINKING_ONLY  // a state that needs no allocation of its own
#include <xxhash.h>
#if defined(__x86_64__)
#define XXH_DISPATCH_DISABLE_REPLACE
#include <xxh_x86dispatch.h>
#endif

#include <algorithm>

#include "base/ascii.hpp"
#include "base/check.hpp"

namespace balancer::wire {
namespace {

constexpr std::size_t kWholeMax = 1024;

// The same digest, whatever this machine's registers are; on x86 by the widest that it has: the hash over the body is nearly all
// that a signature costs.
XXH128_hash_t digest_of(std::string_view piece, std::string_view secret) {
#if defined(__x86_64__)
    return XXH3_128bits_withSecret_dispatch(piece.data(), piece.size(), secret.data(), secret.size());
#else
    return XXH3_128bits_withSecret(piece.data(), piece.size(), secret.data(), secret.size());
#endif
}

bool starts_with_lower(std::string_view text, std::string_view lower) {
    return text.size() >= lower.size() && equals_lower(text.substr(0, lower.size()), lower);
}

// Who asks, and for which version of the API. Everything else that a client sends beside its body tells of the client.
bool counts(const HeaderField& field) {
    return starts_with_lower(field.name, "anthropic-") || starts_with_lower(field.name, "openai-") ||
           equals_lower(field.name, "authorization") || equals_lower(field.name, "x-api-key") ||
           equals_lower(field.name, "cookie");
}

bool counts(const BodyMember& member, MaxTokens max_tokens) {
    // `metadata` names the user and the session, for the provider's records.
    if (member.key == "stream" || member.key == "metadata") return false;
    if (max_tokens == MaxTokens::kCounted) return true;
    return member.key != "max_tokens" && member.key != "max_completion_tokens";
}

}  // namespace

SignatureSecret::SignatureSecret() {
    static_assert(kBytes >= XXH3_SECRET_SIZE_MIN);
    auto* bytes = reinterpret_cast<unsigned char*>(bytes_.data());
    BALANCER_CHECK(RAND_bytes(bytes, static_cast<int>(bytes_.size())) == 1);
    // The library looks at the machine at its first call, and not in a way that two threads may do at once.
    digest_of("once", this->bytes());
}

struct Signer::State {
    XXH3_state_t hash;
};

Signer::Signer(const SignatureSecret& secret) : secret_(secret), state_(std::make_unique<State>()) {
    XXH3_INITSTATE(&state_->hash);
}

Signer::~Signer() = default;

// With its length, so that no two lists of pieces are the same bytes. A large piece by its digest: in one go it costs less
// than in pieces.
void Signer::add(std::string_view piece) {
    std::uint64_t size = piece.size();
    XXH3_128bits_update(&state_->hash, &size, sizeof size);
    if (piece.size() > kWholeMax) {
        XXH128_hash_t digest = digest_of(piece, secret_.bytes());
        XXH3_128bits_update(&state_->hash, &digest, sizeof digest);
        return;
    }
    XXH3_128bits_update(&state_->hash, piece.data(), piece.size());
}

Signature Signer::sign(const RequestHead& head, const BodyFields& fields, MaxTokens max_tokens) {
    std::string_view secret = secret_.bytes();
    XXH3_128bits_reset_withSecret(&state_->hash, secret.data(), secret.size());
    add(head.path);
    add(head.query);
    for (const HeaderField& field : head.fields) {
        if (!counts(field)) continue;
        name_.assign(field.name);
        for (char& c : name_) c = to_lower(c);
        add(name_);
        add(field.value);
    }
    add({});  // no header has this name
    members_.clear();
    for (const BodyMember& member : fields.members) {
        if (counts(member, max_tokens)) members_.push_back(member);
    }
    // Stable: of a member that is given twice a provider takes the first or the last.
    std::stable_sort(members_.begin(), members_.end(), [](const BodyMember& a, const BodyMember& b) {
        return a.key < b.key;
    });
    for (const BodyMember& member : members_) {
        add(member.key);
        add(member.value);
    }
    XXH128_hash_t hash = XXH3_128bits_digest(&state_->hash);
    return {hash.low64, hash.high64};
}

}  // namespace balancer::wire
