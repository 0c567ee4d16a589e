// IP addresses as the socket calls take them.
#pragma once

#include <sys/socket.h>

#include "schema/base/ip.h"

namespace dyncast::agent {

// The length that was filled in.
socklen_t ToSockaddr(const IpAddress& address, uint16_t port, sockaddr_storage* storage);
// Another family than IPv4 and IPv6 gives "::" and port 0.
IpEndpoint FromSockaddr(const sockaddr_storage& storage);

}  // namespace dyncast::agent
