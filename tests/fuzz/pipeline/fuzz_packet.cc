// Any octets: ParsePacket reads or refuses them, and an answer is itself a packet with both ends swapped.
#include <cstdlib>

#include "ovs-integration/pipeline/packet.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyncast::pipeline;
  const std::span<const uint8_t> packet(data, size);
  const auto parsed = ParsePacket(packet);
  if (parsed.ok() && (parsed->demand.client.is_v4() != (parsed->eth_type == 0x0800))) std::abort();
  const auto answer = MakeUnreachable(packet);
  if (!answer) return 0;
  const auto back = ParsePacket(*answer);
  if (!parsed.ok() || !back.ok()) std::abort();
  if (back->demand.client != parsed->demand.sid || back->demand.sid != parsed->demand.client) std::abort();
  if (MakeUnreachable(*answer)) std::abort();  // never an error about an error
  return 0;
}
