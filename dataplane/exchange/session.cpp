#include <functional>

#include "dataplane/exchange/intent.hpp"

namespace balancer::dataplane {
namespace {

constexpr std::size_t kNameBytesMax = 64;

std::uint64_t mix(std::uint64_t seed, std::string_view text) {
    std::uint64_t hash = std::hash<std::string_view>{}(text);
    seed ^= hash + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2);
    return seed * 0xff51afd7ed558ccdULL;
}

// The session inside metadata.user_id: JSON {"…","session_id":"uuid"} (Claude Code 2.1) or
// user_<hash>_account_<uuid>_session_<uuid> (2.0 and before). The whole text when it is neither.
std::string_view session_in(std::string_view user_id) {
    constexpr std::string_view kJson = "\"session_id\"";
    std::size_t at = user_id.find(kJson);
    if (at != std::string_view::npos) {
        std::size_t open = user_id.find('"', at + kJson.size());
        std::size_t close = open == std::string_view::npos ? open : user_id.find('"', open + 1);
        if (close != std::string_view::npos && close > open + 1) {
            return user_id.substr(open + 1, close - open - 1);
        }
    }
    constexpr std::string_view kPlain = "_session_";
    at = user_id.rfind(kPlain);
    if (at != std::string_view::npos && at + kPlain.size() < user_id.size()) {
        return user_id.substr(at + kPlain.size());
    }
    return user_id;
}

}  // namespace

std::string_view name_of(SessionKind kind) {
    switch (kind) {
        case SessionKind::kNone: return {};
        case SessionKind::kHeader: return "header";
        case SessionKind::kUserId: return "user_id";
        case SessionKind::kContent: return "content";
        case SessionKind::kGlobal: return "global";
    }
    return {};
}

Session session_of(
    const wire::RequestHead& head, const wire::BodyFields& fields, StickyScope scope
) {
    Session session;
    std::string_view source;
    session.kind = SessionKind::kHeader;
    if (auto header = wire::find_field(head.fields, "x-claude-code-session-id")) source = *header;
    if (source.empty() && !fields.user_id.empty()) {
        source = session_in(fields.user_id);
        session.kind = SessionKind::kUserId;
    }
    session.name = std::string(source.substr(0, kNameBytesMax));
    if (scope == StickyScope::kGlobal) {
        session.key = mix(1, "global");
        session.kind = SessionKind::kGlobal;
    } else if (!source.empty()) {
        session.key = mix(2, source);
    } else {
        session.kind = SessionKind::kContent;
        session.key = mix(mix(mix(3, fields.system), fields.tools), fields.first_user_message);
    }
    return session;
}

}  // namespace balancer::dataplane
