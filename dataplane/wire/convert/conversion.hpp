// What conversions of requests say about themselves: notes of what could not be carried over,
// refusals, and tool names that had to be changed.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"

namespace balancer::wire::convert {

// What a conversion dropped or changed, each said once, for logs and access records: "top_k:
// dropped". Holds names of fields and kinds of blocks, never their content.
class Notes {
  public:
    void add(std::string_view field, std::string_view what = "dropped");
    void add(const Notes& more);
    // A name that the client made up: shortened, and only if it is a plain word.
    void add_unknown(std::string_view field);
    const std::vector<std::string>& list() const { return list_; }

  private:
    void add_whole(std::string note);

    std::vector<std::string> list_;
};

// A request that is good but that this target cannot take: another candidate may. The error says
// which part of the body it is. All other errors of a conversion mean a malformed request.
Error not_capable(std::string detail);
bool is_not_capable(const Error& error);

// Names and ids that are too long for the other format, cut and told apart by a hash: the same text
// always gives the same name.
std::string fit_name(std::string_view name, std::size_t bytes_max);

// The letters that names and ids are made of on both sides: A-Z, a-z, 0-9, `_` and `-`.
inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
inline bool is_plain(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-'; }

// OpenAI's limits.
inline constexpr std::size_t kToolNameBytesMax = 64;
inline constexpr std::size_t kToolIdBytesMax = 40;

// The tools of one request whose names were changed; the answer's names are changed back. Empty for
// most requests.
class ToolNames {
  public:
    // The name to send; remembers the pair when it differs.
    std::string to_openai(std::string_view name);
    std::string_view from_openai(std::string_view name) const;
    bool empty() const { return changed_.empty(); }

  private:
    std::unordered_map<std::string, std::string> changed_;  // sent, original
};

struct RequestConversion {
    Notes notes;
    ToolNames tool_names;
};

}  // namespace balancer::wire::convert
