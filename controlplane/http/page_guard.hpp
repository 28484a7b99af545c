// Keeps web pages of others from doing what their reader's browser can reach.
#pragma once

#include <string>
#include <string_view>

#include "balancer/v1/data_plane.pb.h"

namespace balancer::controlplane {

// Why the request is refused, and what to do instead; empty: it may go on. Pure.
//
// Two things give a page away. Of another origin than the request's own host: `origin` and `sec-fetch-site`, which browsers
// set and pages cannot; such a page changes nothing, begins no login, posts no code. And a name for the host that nobody here
// has given: the page's own name may lead here (DNS rebinding), and then it is of the same origin. An address cannot be had
// in that way, nor a key, so whoever shows one of the client keys may use any name.
//
// The way back from a login comes from the provider's page by nature, and its state is its proof.
std::string why_refused(const v1::ManageRequest& request, std::string_view redirect_uri);

}  // namespace balancer::controlplane
