// Random bindings of every shape that a service's affinity can make.
#pragma once

#include <cstdlib>
#include <iostream>
#include <random>

#include "schema/model/binding.h"

namespace dyncast::test {

// From DYNCAST_TEST_SEED, or a fixed one; printed, so that a failure can be repeated.
inline uint64_t Seed() {
  const char* given = std::getenv("DYNCAST_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0) : 20240817;
  std::cout << "DYNCAST_TEST_SEED=" << seed << "\n";
  return seed;
}

class RandomBindings {
 public:
  explicit RandomBindings(uint64_t seed) : rng_(seed) {}

  uint64_t Below(uint64_t n) { return rng_() % n; }
  uint16_t Id() { return static_cast<uint16_t>(1 + Below(65535)); }

  BindingFlow Next() {
    static constexpr IpProto kProtos[] = {IpProto::kTcp, IpProto::kUdp, IpProto::kSctp, IpProto::kIcmp};
    BindingFlow b;
    const bool v4 = Below(4) != 0;
    if (v4) {
      b.key.client = IpAddress::V4(static_cast<uint32_t>(rng_()));
    } else {
      std::array<uint8_t, 16> octets;
      for (uint8_t& o : octets) o = static_cast<uint8_t>(rng_());
      octets[0] = 0x20;
      b.key.client = IpAddress::V6(octets);
    }
    b.key.service = ServiceId{Id()};
    b.key.at = SwitchId{Id()};
    b.instance = InstanceId{Id()};
    b.idle_timeout = std::chrono::seconds{Id()};
    const uint64_t shape = Below(4);
    if (shape < 3) b.key.proto = kProtos[Below(4)];  // 3-tuple
    if (b.key.proto != IpProto::kIcmp) {
      if (shape < 2) b.key.dst_port = Id();  // 4-tuple
      if (shape < 1) b.key.src_port = Id();  // 5-tuple
    }
    if (shape < 1 && Below(2) == 0) b.fin_timeout = std::chrono::seconds{Id()};
    b.place = kBindingPlaces[Below(kBindingPlaces.size())];
    if (shape != 3) return b;
    // client/PREFIX, the whole address and nothing of it included
    Affinity affinity{.kind = AffinityKind::kClientPrefix};
    affinity.prefix_v4 = static_cast<uint8_t>(Below(33));
    affinity.prefix_v6 = static_cast<uint8_t>(Below(129));
    b.key.client = MaskAddress(b.key.client, v4 ? affinity.prefix_v4 : affinity.prefix_v6);
    if (FormOf(b.place) == KeyForm::kHeader) b.client_bits = ClientBits(affinity, b.key.client);
    return b;
  }

 private:
  std::mt19937_64 rng_;
};

}  // namespace dyncast::test
