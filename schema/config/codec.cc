#include "schema/config/codec.h"

#include <array>

#include "schema/model/name.h"

namespace dyncast::config {
namespace {

constexpr std::array<std::pair<std::string_view, int64_t>, 6> kUnits = {{
    {"us", 1},
    {"ms", 1000},
    {"s", 1000000},
    {"m", 60 * 1000000ll},
    {"h", 3600 * 1000000ll},
    {"d", 24 * 3600 * 1000000ll},
}};

// A shortest form that reads back as the same number.
std::string FormatNumber(double value) { return fmt::format("{}", value); }

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

}  // namespace

Result<Micros> ParseDuration(std::string_view text) {
  constexpr std::string_view kRule = "must be a whole number with a unit, such as 500ms, 5s, 2m, 1h or 7d";
  int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || count < 0) return Broken(kRule);
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  for (const auto& [name, micros] : kUnits) {
    if (unit != name) continue;
    if (count > std::numeric_limits<int64_t>::max() / micros) return Broken("is too long a time");
    return Micros{count * micros};
  }
  return Broken(kRule);
}

std::string FormatDuration(Micros duration) {
  const int64_t count = duration.count();
  if (count == 0) return "0s";
  size_t unit = kUnits.size() - 1;
  while (count % kUnits[unit].second != 0) --unit;
  return fmt::format("{}{}", count / kUnits[unit].second, kUnits[unit].first);
}

Codec<double> Number(double min, Bound bound, double max) {
  const std::string rule = bound == Bound::kExcluded
                               ? fmt::format("above {} and at most {}", FormatNumber(min), FormatNumber(max))
                               : fmt::format("{} to {}", FormatNumber(min), FormatNumber(max));
  return {.type = "number",
          .rule = rule,
          .parse = [min, bound, max, rule](std::string_view text) -> Result<double> {
            double value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            const bool low = bound == Bound::kExcluded ? value <= min : value < min;
            if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) || low ||
                value > max) {
              return Broken("must be a number, " + rule);
            }
            return value;
          },
          .format = FormatNumber};
}

namespace {

struct RateUnit {
  std::string_view name;
  uint64_t bit_s;
};
// The longer names first: each ends in "bit".
constexpr RateUnit kRateUnits[] = {{"gbit", 1000000000}, {"mbit", 1000000}, {"kbit", 1000}, {"bit", 1}};
constexpr uint64_t kMostBitRate = 100000000000000;  // 100 Tbit/s

}  // namespace

std::string FormatBitRate(uint64_t bit_s) {
  for (const RateUnit& unit : kRateUnits) {
    if (bit_s % unit.bit_s == 0 && bit_s != 0) return fmt::format("{}{}", bit_s / unit.bit_s, unit.name);
  }
  return "0bit";
}

Codec<uint64_t> BitRate() {
  constexpr std::string_view kRule =
      "must be a whole number with bit, kbit, mbit or gbit (per second), 1bit to 100000gbit";
  return {.type = "bit rate",
          .rule = "`100mbit`, `10gbit`; 1bit to 100000gbit",
          .parse = [kRule](std::string_view text) -> Result<uint64_t> {
            for (const RateUnit& unit : kRateUnits) {
              if (!text.ends_with(unit.name)) continue;
              const std::string_view digits = text.substr(0, text.size() - unit.name.size());
              uint64_t value = 0;
              const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
              if (error != std::errc{} || end != digits.data() + digits.size() || value == 0 ||
                  value > kMostBitRate / unit.bit_s) {
                return Broken(kRule);
              }
              return value * unit.bit_s;
            }
            return Broken(kRule);
          },
          .format = FormatBitRate};
}

Codec<bool> Boolean() {
  Codec<bool> codec = Words<bool>({{.word = "true", .value = true}, {.word = "false", .value = false}});
  codec.type = "boolean";
  return codec;
}

Codec<std::string> Text(std::string type, std::string rule, bool (*good)(std::string_view)) {
  return {.type = std::move(type),
          .rule = rule,
          .parse = [rule, good](std::string_view text) -> Result<std::string> {
            if (!good(text)) return Broken("must be " + rule);
            return std::string(text);
          },
          .format = [](const std::string& value) { return value; }};
}

Codec<std::string> Name() { return Text("name", "of the form [a-z0-9][a-z0-9-]{0,62}", IsName); }

Codec<std::string> MetricNameText() {
  return Text("metric name", "of the form [a-z][a-z0-9_]{0,62}", IsMetricName);
}

Codec<std::string> Unit() { return Text("unit", "1 to 16 printable characters without spaces", IsUnit); }

Codec<std::string> InterfaceName() {
  return Text("interface name", "1 to 15 printable characters without '/', ':' and spaces",
              [](std::string_view text) {
                return !text.empty() && text.size() <= 15 && text != "." && text != ".." &&
                       std::all_of(text.begin(), text.end(),
                                   [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != ':'; });
              });
}

Codec<IpAddress> UnicastAddress() {
  return {.type = "address",
          .rule = "a unicast address",
          .parse = [](std::string_view text) -> Result<IpAddress> {
            Result<IpAddress> address = IpAddress::Parse(text);
            if (!address.ok()) return Broken("must be an IP address");
            if (!IsUnicast(*address)) return Broken("must be a unicast address");
            return address;
          },
          .format = [](const IpAddress& a) { return a.is_none() ? std::string() : a.ToString(); }};
}

Codec<IpEndpoint> UdpEndpoint() {
  return {.type = "endpoint",
          .rule = "`IPV4:PORT` or `[IPV6]:PORT`",
          .parse = [](std::string_view text) -> Result<IpEndpoint> {
            Result<IpEndpoint> endpoint = IpEndpoint::Parse(text);
            if (!endpoint.ok() || endpoint->address.is_multicast()) {
              return Broken("must be IPV4:PORT or [IPV6]:PORT, not multicast");
            }
            return endpoint;
          },
          .format = [](const IpEndpoint& e) { return e.port == 0 ? std::string() : e.ToString(); }};
}

Codec<IpPrefix> Network() {
  return {.type = "network",
          .rule = "address/length without host bits, not multicast",
          .parse = [](std::string_view text) -> Result<IpPrefix> {
            Result<IpPrefix> prefix = IpPrefix::Parse(text);
            if (!prefix.ok()) return Broken("must be a network such as 10.0.0.0/24");
            if (prefix->Network() != *prefix) {
              return Broken("has host bits set; the network is " + prefix->Network().ToString());
            }
            const bool everything = prefix->length == 0;
            if (prefix->address.is_multicast() || (!everything && !IsUnicast(prefix->address))) {
              return Broken("must be a network of unicast addresses");
            }
            return prefix;
          },
          .format = [](const IpPrefix& p) { return p.ToString(); }};
}

Codec<IpPrefix> InterfaceAddress() {
  return {.type = "address/length",
          .rule = "a host's address within its network",
          .parse = [](std::string_view text) -> Result<IpPrefix> {
            Result<IpPrefix> prefix = IpPrefix::Parse(text);
            if (!prefix.ok() || text.find('/') == std::string_view::npos) {
              return Broken("must be an address with a prefix length, such as 10.0.0.1/24");
            }
            if (!IsUnicast(prefix->address)) return Broken("must be a unicast address");
            if (prefix->length == 0) return Broken("must have a prefix length of 1 or more");
            // RFC 4291 section 2.6.1: the subnet-router anycast address is every router's, not this one's.
            if (!prefix->address.is_v4() && prefix->length < 127 &&
                MaskAddress(prefix->address, prefix->length) == prefix->address) {
              return Broken("is the network's own address, not a host's");
            }
            if (prefix->address.is_v4() && prefix->length < 31) {
              const uint32_t host = prefix->address.v4() & (0xffffffffu >> prefix->length);
              if (host == 0) return Broken("is the network's own address, not a host's");
              if (host == 0xffffffffu >> prefix->length) return Broken("is the network's broadcast address");
            }
            return prefix;
          },
          .format = [](const IpPrefix& p) { return p.ToString(); }};
}

Codec<MacAddress> UnicastMac() {
  return {.type = "MAC address",
          .rule = "unicast, such as 02:00:00:00:00:01",
          .parse = [](std::string_view text) -> Result<MacAddress> {
            Result<MacAddress> mac = MacAddress::Parse(text);
            if (!mac.ok()) return Broken("must be a MAC address such as 02:00:00:00:00:01");
            if (mac->is_none() || (mac->octets[0] & 1) != 0) return Broken("must be a unicast MAC address");
            return mac;
          },
          .format = [](const MacAddress& m) { return m.ToString(); }};
}

Codec<PortRange> ServicePorts() {
  constexpr std::string_view kRule =
      "must be icmp, tcp/PORT, udp/PORT, sctp/PORT or PROTOCOL/FIRST-LAST, ports 1 to 65535";
  return {.type = "ports",
          .rule = "`tcp/8080`, `udp/5000-5010`, `sctp/2905`, `icmp`",
          .parse = [kRule](std::string_view text) -> Result<PortRange> {
            if (text == "icmp") return PortRange{.proto = IpProto::kIcmp, .first = 0, .last = 0};
            const size_t slash = text.find('/');
            if (slash == std::string_view::npos) return Broken(kRule);
            PortRange range;
            const std::string_view proto = text.substr(0, slash);
            if (proto == "udp") {
              range.proto = IpProto::kUdp;
            } else if (proto == "sctp") {
              range.proto = IpProto::kSctp;
            } else if (proto != "tcp") {
              return Broken(kRule);
            }
            const std::string_view ports = text.substr(slash + 1);
            const size_t dash = ports.find('-');
            const std::optional<uint16_t> first = ParsePort(ports.substr(0, dash));
            const std::optional<uint16_t> last =
                dash == std::string_view::npos ? first : ParsePort(ports.substr(dash + 1));
            if (!first || !last) return Broken(kRule);
            if (*first > *last) return Broken("the first port must not be above the last");
            range.first = *first;
            range.last = *last;
            return range;
          },
          .format = PortsText};
}

std::string PortsText(const PortRange& r) {
  if (r.proto == IpProto::kIcmp) return std::string(IpProtoName(r.proto));
  return r.first == r.last ? fmt::format("{}/{}", IpProtoName(r.proto), r.first)
                           : fmt::format("{}/{}-{}", IpProtoName(r.proto), r.first, r.last);
}

}  // namespace dyncast::config
