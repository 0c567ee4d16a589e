// Any octets: ParseIcmpError reads or refuses them; what it read can be mapped to other addresses, and reads
// as the same error about the same ports.
#include <cstdlib>

#include "ovs-integration/pipeline/packet.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyncast;
  using namespace dyncast::pipeline;
  const std::span<const uint8_t> packet(data, size);
  const auto read = ParseIcmpError(packet);
  const bool v4 = read.ok() && read->source.is_v4();
  std::array<uint8_t, 16> octets{0xfd, 0x77};
  const auto other = [&](uint8_t last) {
    if (v4) return IpAddress::V4(0xcb007100u | last);
    octets[15] = last;
    return IpAddress::V6(octets);
  };
  const IcmpErrorAddresses to{
      .source = other(1), .destination = other(2), .quoted_source = other(3), .quoted_destination = other(4)};
  const auto mapped = MapIcmpError(packet, to);
  if (mapped.ok() != read.ok()) std::abort();
  if (!read.ok()) return 0;
  const auto back = ParseIcmpError(*mapped);
  if (!back.ok() || mapped->size() != size || back->source != *to.source ||
      back->destination != *to.destination) {
    std::abort();
  }
  Demand quoted = read->quoted;
  quoted.client = *to.quoted_source;
  quoted.sid = *to.quoted_destination;
  if (back->quoted != quoted) std::abort();
  return 0;
}
