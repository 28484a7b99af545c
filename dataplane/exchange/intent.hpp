// What a client asks for, as far as routing needs to know.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/sticky_table.hpp"
#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/http_head.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

// The paths of the client port.
enum class Operation {
    kMessages,
    kChatCompletions,
    kCountTokens,
    kModels,
    kInfo,
    kHealth,
    kProbe,       // HEAD / and HEAD /api/hello: Claude Code looks whether anybody is there
    kManagement,  // relayed to the control plane
    kUnknown,
};

// For the access record; empty: none of these.
std::string_view name_of(Operation operation);

// What a session's key was made from.
enum class SessionKind {
    kNone,  // the request has not come so far
    kHeader,
    kUserId,
    kContent,
    kGlobal,
};

// "header", "user_id", "content", "global"; empty for kNone.
std::string_view name_of(SessionKind kind);

// Where a browser comes back to from a login. The second is the path that Claude Code itself uses on loopback.
inline bool is_login_callback(std::string_view path) {
    return path == "/oauth/callback" || path == "/callback";
}

struct Session {
    SessionKey key = 0;
    std::string name;  // what the key was made from, for the log: shortened
    SessionKind kind = SessionKind::kNone;
};

// x-claude-code-session-id, else what the body says: the session in metadata.user_id (both of its forms), prompt_cache_key or
// user; else a hash of system, tools and the first user message; one key for everybody with sticky_scope: global.
Session session_of(
    const wire::RequestHead& head, const wire::BodyFields& fields, StickyScope scope
);

}  // namespace balancer::dataplane
