// IP and MAC addresses as values. IPv4 is held as IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2), so one
// type serves both families and a table keyed by it needs no second copy.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "schema/base/result.h"

namespace dyncast {

class IpAddress {
 public:
  constexpr IpAddress() = default;  // "::", which stands for 'none'
  // `host_order`: 0x0a000001 is 10.0.0.1.
  static IpAddress V4(uint32_t host_order);
  // 16 octets in network order.
  static IpAddress V6(const std::array<uint8_t, 16>& octets);
  // Text of RFC 4291 / dotted quad, without prefix length or zone. Leading zeros in a quad are refused.
  static Result<IpAddress> Parse(std::string_view text);

  bool is_v4() const;
  bool is_none() const { return octets_ == std::array<uint8_t, 16>{}; }
  bool is_multicast() const;
  bool is_loopback() const;
  // fe80::/10 (RFC 4291 section 2.5.6): means another host on every link. False for IPv4.
  bool is_link_local() const;
  // Precondition: is_v4(). Host order.
  uint32_t v4() const;
  const std::array<uint8_t, 16>& octets() const { return octets_; }
  std::string ToString() const;  // canonical: RFC 5952, or dotted quad
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<uint8_t, 16> octets_{};
};

// An address and a length; `address` keeps its host bits (10.0.0.1/24 is an interface address).
struct IpPrefix {
  IpAddress address;
  uint8_t length = 0;  // 0..32 for IPv4, 0..128 for IPv6

  // "10.0.0.1/24" or "10.0.0.1" (full length).
  static Result<IpPrefix> Parse(std::string_view text);
  bool Contains(const IpAddress& a) const;  // false for the other family
  bool Overlaps(const IpPrefix& other) const;
  IpPrefix Network() const;  // host bits cleared
  std::string ToString() const;
  friend auto operator<=>(const IpPrefix&, const IpPrefix&) = default;
};

// An address and a UDP or TCP port.
struct IpEndpoint {
  IpAddress address;
  uint16_t port = 0;

  // "10.0.0.1:862" or "[fd00::1]:862"; port 1 to 65535.
  static Result<IpEndpoint> Parse(std::string_view text);
  std::string ToString() const;
  friend auto operator<=>(const IpEndpoint&, const IpEndpoint&) = default;
};

// `a` with all but its first `length` bits cleared (length counts within a's family).
IpAddress MaskAddress(const IpAddress& a, uint8_t length);

struct MacAddress {
  std::array<uint8_t, 6> octets{};
  static Result<MacAddress> Parse(std::string_view text);  // "02:00:00:00:00:01"
  bool is_none() const { return octets == std::array<uint8_t, 6>{}; }
  std::string ToString() const;
  friend auto operator<=>(const MacAddress&, const MacAddress&) = default;
};

// A locally administered unicast MAC that is the same for the same text (IEEE 802c SLAP is not used).
MacAddress MacFromText(std::string_view text);

// 64-bit FNV-1a; stable across machines and releases.
uint64_t StableHash(std::string_view text);

}  // namespace dyncast

template <>
struct std::hash<dyncast::IpAddress> {
  size_t operator()(const dyncast::IpAddress& a) const noexcept {
    uint64_t w[2];
    std::memcpy(w, a.octets().data(), 16);
    return (w[0] * 0x9E3779B97F4A7C15ull) ^ ((w[1] ^ (w[1] >> 29)) * 0xBF58476D1CE4E5B9ull);
  }
};
