// Any octets: ParseNeighbor reads or refuses them; what it read of a request can be written again.
#include <cstdlib>

#include "ovs-integration/pipeline/packet.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyncast::pipeline;
  const auto parsed = ParseNeighbor(std::span<const uint8_t>(data, size));
  if (!parsed.ok()) return 0;
  const bool v4 = parsed->target.is_v4();
  if (v4 != parsed->sender.is_v4() || (!v4 && parsed->target.is_multicast())) std::abort();
  const auto again =
      ParseNeighbor(v4 ? MakeArpRequest(parsed->sender_mac, parsed->sender, parsed->target)
                       : MakeNeighborSolicit(parsed->sender_mac, parsed->sender, parsed->target));
  if (!again.ok() || !again->request || again->sender_mac != parsed->sender_mac ||
      again->sender != parsed->sender || again->target != parsed->target) {
    std::abort();
  }
  return 0;
}
