// What is told to whoever started the program: systemd, by sd_notify's protocol, without its library.
#pragma once

#include <string_view>

namespace balancer {

// Sends `state`, lines such as READY=1, as one datagram to $NOTIFY_SOCKET. Nothing where nobody wants to know; never blocks,
// and a failure is nobody's concern.
void tell_supervisor(std::string_view state);

}  // namespace balancer
