// What differs between IPv4 and IPv6 in ovs-ofctl text. Internal to pipeline/.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "ovs-integration/pipeline/match_text.h"
#include "schema/base/ip.h"
#include "schema/model/service.h"

namespace dyncast::pipeline {

enum class Family : uint8_t { kV4, kV6 };
inline constexpr std::array<Family, 2> kFamilies{Family::kV4, Family::kV6};

inline Family FamilyOf(const IpAddress& address) { return address.is_v4() ? Family::kV4 : Family::kV6; }
// The D-SID of that family, if the service has one.
inline const std::optional<IpAddress>& SidOf(const ServiceSpec& spec, Family family) {
  return family == Family::kV4 ? spec.sid_v4 : spec.sid_v6;
}

inline std::string IpText(Family family) { return family == Family::kV4 ? "ip" : "ipv6"; }
// "tcp", "tcp6", "icmp6", ...
inline std::string ProtoText(IpProto proto, Family family) {
  return std::string(IpProtoName(proto)) + (family == Family::kV4 ? "" : "6");
}
// The protocol's number in a header of that family.
inline unsigned ProtoNumber(IpProto proto, Family family) {
  constexpr unsigned kIcmpv6 = 58;
  return proto == IpProto::kIcmp && family == Family::kV6 ? kIcmpv6 : static_cast<unsigned>(proto);
}
// "ip,nw_dst=ADDRESS" with the protocol in place of "ip" where there is one.
inline std::string ToAddress(const std::string& protocol, const IpAddress& address) {
  return protocol + (address.is_v4() ? ",nw_dst=" : ",ipv6_dst=") + address.ToString();
}
inline std::string FromAddress(const IpAddress& address) {
  return (address.is_v4() ? "nw_src=" : "ipv6_src=") + address.ToString();
}
inline std::string SetDestination(const IpAddress& address) {
  return "set_field:" + address.ToString() + (address.is_v4() ? "->ip_dst" : "->ipv6_dst");
}
inline std::string SetSource(const IpAddress& address) {
  return "set_field:" + address.ToString() + (address.is_v4() ? "->ip_src" : "->ipv6_src");
}

}  // namespace dyncast::pipeline
