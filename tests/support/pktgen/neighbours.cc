#include "tests/support/pktgen/neighbours.h"

#include <algorithm>
#include <array>

namespace dyncast::pktgen {
namespace {

constexpr size_t kArpBytes = 42;
constexpr size_t kNdBytes = 14 + 40 + 24 + 8;
constexpr size_t kTarget = 14 + 40 + 8;  // of an ND message's target address
constexpr uint8_t kSolicit = 135;
constexpr uint8_t kAdvertise = 136;

bool TypeIs(std::span<const uint8_t> frame, uint16_t type) {
  return frame.size() >= kArpBytes && frame[12] == type >> 8 && frame[13] == (type & 0xff);
}

IpAddress V4At(const uint8_t* at) {
  return IpAddress::V4(uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 |
                       uint32_t{at[3]});
}
IpAddress V6At(const uint8_t* at) {
  std::array<uint8_t, 16> octets{};
  std::copy_n(at, 16, octets.begin());
  return IpAddress::V6(octets);
}

void PutMac(uint8_t* at, const MacAddress& mac) { std::copy(mac.octets.begin(), mac.octets.end(), at); }
void PutIp(uint8_t* at, const IpAddress& address) {
  const auto& octets = address.octets();
  std::copy(octets.begin() + (address.is_v4() ? 12 : 0), octets.end(), at);
}

std::vector<uint8_t> Arp(uint8_t operation, const MacAddress& to, const MacAddress& own,
                         const IpAddress& sender, const MacAddress& target_mac, const IpAddress& target) {
  std::vector<uint8_t> f(kArpBytes);
  PutMac(&f[0], to);
  PutMac(&f[6], own);
  constexpr std::array<uint8_t, 9> kHeader = {0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0};
  std::copy(kHeader.begin(), kHeader.end(), f.begin() + 12);
  f[21] = operation;
  PutMac(&f[22], own);
  PutIp(&f[28], sender);
  PutMac(&f[32], target_mac);
  PutIp(&f[38], target);
  return f;
}

void FinishIcmp6(std::vector<uint8_t>* frame) {
  uint8_t* f = frame->data();
  f[56] = f[57] = 0;
  uint32_t sum = 58 + 32;
  for (size_t i = 22; i < frame->size(); i += 2) {
    sum += static_cast<uint32_t>(f[i] << 8 | f[i + 1]);
  }
  while (sum >> 16 != 0) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  f[56] = static_cast<uint8_t>(~sum >> 8);
  f[57] = static_cast<uint8_t>(~sum);
}

std::vector<uint8_t> Nd(uint8_t type, const MacAddress& to, const MacAddress& own, const IpAddress& sender,
                        const IpAddress& receiver, const IpAddress& target) {
  std::vector<uint8_t> f(kNdBytes);
  PutMac(&f[0], to);
  PutMac(&f[6], own);
  f[12] = 0x86;
  f[13] = 0xdd;
  f[14] = 0x60;
  f[19] = 32;
  f[20] = 58;
  f[21] = 255;
  PutIp(&f[22], sender);
  PutIp(&f[38], receiver);
  f[54] = type;
  f[58] = type == kAdvertise ? 0x60 : 0;  // solicited, override
  PutIp(&f[kTarget], target);
  f[kTarget + 16] = type == kAdvertise ? 2 : 1;
  f[kTarget + 17] = 1;
  PutMac(&f[kTarget + 18], own);
  FinishIcmp6(&f);
  return f;
}

bool IsNd(std::span<const uint8_t> frame, uint8_t type) {
  return TypeIs(frame, 0x86dd) && frame.size() >= kTarget + 16 && frame[20] == 58 && frame[54] == type;
}

}  // namespace

std::optional<std::vector<uint8_t>> AnswerNeighbour(std::span<const uint8_t> frame, const MacAddress& own,
                                                    const std::function<bool(const IpAddress&)>& ours) {
  MacAddress asker;
  if (TypeIs(frame, 0x0806) && frame[21] == 1 && ours(V4At(&frame[38]))) {
    std::copy_n(&frame[22], 6, asker.octets.begin());
    return Arp(2, asker, own, V4At(&frame[38]), asker, V4At(&frame[28]));
  }
  if (IsNd(frame, kSolicit) && ours(V6At(&frame[kTarget]))) {
    std::copy_n(&frame[6], 6, asker.octets.begin());
    return Nd(kAdvertise, asker, own, V6At(&frame[kTarget]), V6At(&frame[22]), V6At(&frame[kTarget]));
  }
  return std::nullopt;
}

std::vector<uint8_t> AskNeighbour(const MacAddress& own, const IpAddress& sender, const IpAddress& target) {
  if (target.is_v4()) {
    return Arp(1, MacAddress{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, own, sender, MacAddress{}, target);
  }
  const auto& t = target.octets();
  std::array<uint8_t, 16> group = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, t[13], t[14], t[15]};
  return Nd(kSolicit, MacAddress{{0x33, 0x33, 0xff, t[13], t[14], t[15]}}, own, sender, IpAddress::V6(group),
            target);
}

std::optional<MacAddress> NeighbourAnswer(std::span<const uint8_t> frame, const IpAddress& target) {
  MacAddress mac;
  if (TypeIs(frame, 0x0806) && frame[21] == 2 && V4At(&frame[28]) == target) {
    std::copy_n(&frame[22], 6, mac.octets.begin());
    return mac;
  }
  if (IsNd(frame, kAdvertise) && V6At(&frame[kTarget]) == target) {
    const bool option = frame.size() >= kTarget + 24 && frame[kTarget + 16] == 2;
    std::copy_n(option ? &frame[kTarget + 18] : &frame[6], 6, mac.octets.begin());
    return mac;
  }
  return std::nullopt;
}

}  // namespace dyncast::pktgen
