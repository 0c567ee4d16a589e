// ParseFabric over arbitrary text: never crashes, and an error always says where it is.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "schema/config/fabric.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto config =
      dyncast::config::ParseFabric({reinterpret_cast<const char*>(data), size}, "fabric.yaml");
  if (!config.ok() && !config.error().message.starts_with("fabric.yaml:")) std::abort();
  return 0;
}
