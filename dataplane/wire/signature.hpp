// Whether two requests would get the same answer: a hash of everything that can change it, from the spans that the body's
// scan found. No tree is built and nothing is copied.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/http_head.hpp"

namespace balancer::wire {

// 128 bits of a keyed hash. It means something in the process that made it only.
struct Signature {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    auto operator<=>(const Signature&) const = default;
};

struct SignatureHash {
    std::size_t operator()(const Signature& signature) const { return static_cast<std::size_t>(signature.low); }
};

// What the hash is keyed with, so that nobody outside can look for two requests with one signature. One per process,
// from the system's randomness; never shown.
class SignatureSecret {
  public:
    SignatureSecret();
    std::string_view bytes() const { return {bytes_.data(), bytes_.size()}; }

  private:
    static constexpr std::size_t kBytes = 192;
    std::array<char, kBytes> bytes_{};
};

// Whether a request with another limit of tokens is another request. Claude Code lowers it when it tries again.
enum class MaxTokens { kLeftOut, kCounted };

// Counted are: the path and the query; the client's credentials, as they came, and cookies; all `anthropic-*` and `openai-*`
// headers; and every member of the body but `stream`, `metadata` and (MaxTokens) `max_tokens` and
// `max_completion_tokens`. Members count in any order, headers in theirs. White space counts inside of a member, not between
// them.
class Signer {
  public:
    // `secret` outlives this. One per worker; not thread-safe.
    explicit Signer(const SignatureSecret& secret);
    ~Signer();

    // `fields` are of a body that is still there.
    Signature sign(const RequestHead& head, const BodyFields& fields, MaxTokens max_tokens);

  private:
    struct State;
    void add(std::string_view piece);

    const SignatureSecret& secret_;
    std::unique_ptr<State> state_;
    std::vector<BodyMember> members_;  // this and the next keep their memory between two requests
    std::string name_;
};

}  // namespace balancer::wire
