#include "schema/model/port.h"

namespace dyncast {

std::optional<double> LinkLoad(const std::optional<double>& rate_bit_s,
                               const std::optional<uint64_t>& speed_bit_s) {
  if (!rate_bit_s || !speed_bit_s || *speed_bit_s == 0) return std::nullopt;
  return *rate_bit_s / static_cast<double>(*speed_bit_s);
}

}  // namespace dyncast
