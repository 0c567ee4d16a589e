// ParseScenario over arbitrary text: never crashes, and an error always says where it is.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tests/sim/scenario.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto scenario =
      dyncast::sim::ParseScenario({reinterpret_cast<const char*>(data), size}, "scenario.yaml");
  if (!scenario.ok() && !scenario.error().message.starts_with("scenario.yaml:")) std::abort();
  return 0;
}
