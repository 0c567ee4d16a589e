#include "schema/base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace dyncast {
namespace {

constexpr std::array<uint8_t, 12> kV4Mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::optional<unsigned> ParseDecimal(std::string_view text, unsigned max) {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  unsigned n = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    n = n * 10 + static_cast<unsigned>(c - '0');
  }
  if (n > max) return std::nullopt;
  return n;
}

}  // namespace

IpAddress IpAddress::V4(uint32_t host_order) {
  IpAddress a;
  std::copy(kV4Mapped.begin(), kV4Mapped.end(), a.octets_.begin());
  for (unsigned i = 0; i < 4; ++i) a.octets_[12 + i] = static_cast<uint8_t>(host_order >> (24 - 8 * i));
  return a;
}

IpAddress IpAddress::V6(const std::array<uint8_t, 16>& octets) {
  IpAddress a;
  a.octets_ = octets;
  return a;
}

Result<IpAddress> IpAddress::Parse(std::string_view text) {
  const std::string copy(text);
  if (text.size() < 64 && text.find('\0') == std::string_view::npos) {
    std::array<uint8_t, 16> raw{};
    if (inet_pton(AF_INET, copy.c_str(), raw.data()) == 1) {
      return V4(static_cast<uint32_t>(raw[0]) << 24 | static_cast<uint32_t>(raw[1]) << 16 |
                static_cast<uint32_t>(raw[2]) << 8 | raw[3]);
    }
    if (inet_pton(AF_INET6, copy.c_str(), raw.data()) == 1) return V6(raw);
  }
  return MakeError(Errc::kParse, "'" + copy.substr(0, 64) + "' is not an IP address");
}

bool IpAddress::is_v4() const { return std::equal(kV4Mapped.begin(), kV4Mapped.end(), octets_.begin()); }

bool IpAddress::is_multicast() const { return is_v4() ? (octets_[12] >> 4) == 0xe : octets_[0] == 0xff; }

bool IpAddress::is_link_local() const {
  return !is_v4() && octets_[0] == 0xfe && (octets_[1] & 0xc0) == 0x80;
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return octets_[12] == 127;
  IpAddress one;
  one.octets_[15] = 1;
  return *this == one;
}

uint32_t IpAddress::v4() const {
  return static_cast<uint32_t>(octets_[12]) << 24 | static_cast<uint32_t>(octets_[13]) << 16 |
         static_cast<uint32_t>(octets_[14]) << 8 | octets_[15];
}

std::string IpAddress::ToString() const {
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (is_v4()) {
    inet_ntop(AF_INET, octets_.data() + 12, out.data(), out.size());
  } else {
    inet_ntop(AF_INET6, octets_.data(), out.data(), out.size());
  }
  return out.data();
}

Result<IpPrefix> IpPrefix::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  Result<IpAddress> address = IpAddress::Parse(text.substr(0, slash));
  if (!address.ok()) return address.error();
  const unsigned max = address->is_v4() ? 32 : 128;
  unsigned length = max;
  if (slash != std::string_view::npos) {
    std::optional<unsigned> n = ParseDecimal(text.substr(slash + 1), max);
    if (!n) {
      return MakeError(Errc::kParse, "'" + std::string(text.substr(0, 64)) +
                                         "' has no prefix length from 0 to " + std::to_string(max));
    }
    length = *n;
  }
  return IpPrefix{*address, static_cast<uint8_t>(length)};
}

Result<IpEndpoint> IpEndpoint::Parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  std::string_view host = text.substr(0, colon);
  unsigned port = 0;
  bool good = colon != std::string_view::npos;
  if (good) {
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    good = error == std::errc{} && end == digits.data() + digits.size() && port >= 1 && port <= 65535;
  }
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  Result<IpAddress> address = IpAddress::Parse(host);
  if (!good || !address.ok() || address->is_v4() == brackets) {
    return MakeError(Errc::kParse, "'" + std::string(text.substr(0, 64)) +
                                       "' is not IPV4:PORT or [IPV6]:PORT with a port from 1 to 65535");
  }
  return IpEndpoint{*address, static_cast<uint16_t>(port)};
}

std::string IpEndpoint::ToString() const {
  const std::string text = address.ToString();
  return (address.is_v4() ? text : "[" + text + "]") + ":" + std::to_string(port);
}

IpAddress MaskAddress(const IpAddress& a, uint8_t length) {
  const unsigned keep = a.is_v4() ? 96u + length : length;
  std::array<uint8_t, 16> octets = a.octets();
  for (unsigned i = 0; i < 16; ++i) {
    const unsigned first = i * 8;
    if (first >= keep) {
      octets[i] = 0;
    } else if (keep - first < 8) {
      octets[i] = static_cast<uint8_t>(octets[i] & (0xffu << (8 - (keep - first))));
    }
  }
  return IpAddress::V6(octets);
}

bool IpPrefix::Contains(const IpAddress& a) const {
  return a.is_v4() == address.is_v4() && MaskAddress(a, length) == MaskAddress(address, length);
}

bool IpPrefix::Overlaps(const IpPrefix& other) const {
  if (address.is_v4() != other.address.is_v4()) return false;
  const uint8_t shorter = std::min(length, other.length);
  return MaskAddress(address, shorter) == MaskAddress(other.address, shorter);
}

IpPrefix IpPrefix::Network() const { return IpPrefix{MaskAddress(address, length), length}; }

std::string IpPrefix::ToString() const { return address.ToString() + "/" + std::to_string(length); }

Result<MacAddress> MacAddress::Parse(std::string_view text) {
  MacAddress mac;
  bool good = text.size() == 17;
  for (size_t i = 0; good && i < 17; ++i) {
    const char c = text[i];
    if (i % 3 == 2) {
      good = c == ':';
      continue;
    }
    unsigned digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<unsigned>(c - 'A' + 10);
    } else {
      good = false;
    }
    mac.octets[i / 3] = static_cast<uint8_t>(mac.octets[i / 3] << 4 | digit);
  }
  if (!good) {
    return MakeError(Errc::kParse, "'" + std::string(text.substr(0, 64)) +
                                       "' is not a MAC address of the form 02:00:00:00:00:01");
  }
  return mac;
}

std::string MacAddress::ToString() const {
  std::array<char, 18> out{};
  std::snprintf(out.data(), out.size(), "%02x:%02x:%02x:%02x:%02x:%02x", octets[0], octets[1], octets[2],
                octets[3], octets[4], octets[5]);
  return out.data();
}

uint64_t StableHash(std::string_view text) {
  uint64_t h = 0xcbf29ce484222325ull;
  for (char c : text) {
    h ^= static_cast<uint8_t>(c);
    h *= 0x100000001b3ull;
  }
  return h;
}

MacAddress MacFromText(std::string_view text) {
  const uint64_t h = StableHash(text);
  MacAddress mac;
  for (unsigned i = 0; i < 6; ++i) mac.octets[i] = static_cast<uint8_t>(h >> (8 * i));
  mac.octets[0] = static_cast<uint8_t>((mac.octets[0] & 0xfcu) | 0x02u);
  return mac;
}

}  // namespace dyncast
