// Any octets: ParsePacket reads or refuses them, and an answer is itself a packet back to the sender.
#include <cstdlib>

#include "ovs-integration/pipeline/packet.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyncast;
  using namespace dyncast::pipeline;
  const std::span<const uint8_t> packet(data, size);
  const auto parsed = ParsePacket(packet);
  if (parsed.ok() && (parsed->demand.client.is_v4() != (parsed->eth_type == 0x0800))) std::abort();
  const bool v4 = parsed.ok() && parsed->demand.client.is_v4();
  const IpAddress gateway = v4 ? IpAddress::V4(0xcb007101u) : IpAddress::V6({0xfd, 0x77});
  const auto exceeded = MakeTimeExceeded(packet, gateway);
  const auto answer = MakeUnreachable(packet);
  if (answer.has_value() != exceeded.has_value()) std::abort();
  if (!answer) return 0;
  if (!parsed.ok()) std::abort();
  for (const auto& [error, from] : {std::pair{*answer, parsed->demand.sid}, std::pair{*exceeded, gateway}}) {
    const auto back = ParsePacket(error);
    if (!back.ok() || back->demand.client != from || back->demand.sid != parsed->demand.client) std::abort();
    if (MakeUnreachable(error)) std::abort();  // never an error about an error
    const auto quoted = ParseIcmpError(error);
    // Long extension headers may leave no room for the ports.
    if (!quoted.ok() && size <= 500) std::abort();
    if (quoted.ok() && quoted->quoted != parsed->demand) std::abort();
  }
  return 0;
}
