// Any octets: ParseArp reads or refuses them; what it read of a request can be written again.
#include <cstdlib>

#include "ovs-integration/pipeline/packet.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyncast::pipeline;
  const auto parsed = ParseArp(std::span<const uint8_t>(data, size));
  if (!parsed.ok()) return 0;
  const auto again = ParseArp(MakeArpRequest(parsed->sender_mac, parsed->sender, parsed->target));
  if (!again.ok() || again->sender_mac != parsed->sender_mac || again->sender != parsed->sender ||
      again->target != parsed->target) {
    std::abort();
  }
  return 0;
}
