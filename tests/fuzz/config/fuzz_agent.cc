// ParseAgent over arbitrary text: never crashes, and an error always says where it is.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "schema/config/agent.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto config = dyncast::config::ParseAgent({reinterpret_cast<const char*>(data), size}, "agent.yaml");
  if (!config.ok() && !config.error().message.starts_with("agent.yaml:")) std::abort();
  return 0;
}
