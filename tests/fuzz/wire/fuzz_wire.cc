// Decode with arbitrary topic and bytes: the first byte says how long the topic is. What is accepted must
// survive a round trip.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "schema/wire/message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view all(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view topic = all.substr(0, data[0]);
  const std::string_view bytes = all.substr(topic.size());
  using namespace dyncast::wire;
  auto message = Decode(topic, bytes);
  if (!message.ok()) {
    if (message.error().message.empty()) std::abort();
    return 0;
  }
  if (auto* report = std::get_if<Report>(&message->body)) report->refused_metrics = 0;
  if (auto* paths = std::get_if<Paths>(&message->body)) paths->refused_paths = 0;
  const auto again = Decode(Topic(*message), Encode(*message));
  if (!again.ok() || !(*again == *message)) std::abort();
  return 0;
}
