// Who a client is, when a proxy in front says for whom it asks; and what of that goes no further.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "dataplane/wire/http_head.hpp"
#include "model/ip_address.hpp"

namespace balancer::wire {

// A header in which proxies tell of the client, and a client of whatever it likes: `forwarded`, `x-forwarded-…`, `x-real-ip`,
// `via` and their like.
bool tells_of_client(std::string_view name);

// The client's address: `peer` (ADDRESS:PORT, whose connection this is), unless it is one of `trusted`. Then it is the last
// address of x-forwarded-for that is not trusted itself: what stands before that one, the client may have made up. Where
// nothing of use is told, the last address that was believed.
std::string client_address(
    std::string_view peer, const HeaderFields& fields, std::span<const AddressBlock> trusted
);

}  // namespace balancer::wire
