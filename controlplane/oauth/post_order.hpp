// One post that outlives the process that wants it: what the process that makes it is told, and what it leaves behind. Bytes
// only; post_process and post_child move them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/http_client.hpp"
#include "base/result.hpp"
#include "base/secret_bytes.hpp"
#include "controlplane/oauth/account.hpp"

namespace balancer::controlplane {

// From the control plane to the process that posts, through a pipe. Full of secrets.
struct PostOrder {
    std::string account;
    std::string attempt;
    SecretBytes answer_key;
    std::filesystem::path folder;  // where the answer is kept
    HttpRequest request;
};

// Bounds what is read from the pipe: a request to the token endpoint, and the certificates that it trusts.
inline constexpr std::size_t kPostOrderBytesMax = 4 << 20;

// Whoever has it wipes it.
std::string to_bytes(const PostOrder& order);
Result<PostOrder> read_post_order(std::string_view bytes);

// How it ended; `sent` as fetch() sets it.
struct PostAnswer {
    bool sent = false;
    Result<HttpResponse> response{};
};

// With the order's key, and for its account and attempt alone.
std::string seal_answer(const PostOrder& order, const PostAnswer& answer);

// Nothing: it is not what was sealed for this account and claim.
std::optional<PostAnswer> open_answer(std::string_view account, const RefreshClaim& claim, std::string_view sealed);

}  // namespace balancer::controlplane
