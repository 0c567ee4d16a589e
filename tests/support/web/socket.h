// Socket addresses of either family from text, for the test programs.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

namespace dyncast::web {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

std::optional<SocketAddress> MakeAddress(const std::string& address, uint16_t port);
std::string AddressText(const sockaddr_storage& storage);
uint16_t PortOf(const sockaddr_storage& storage);

}  // namespace dyncast::web
