// Hashing of binding keys: 64x64->128 bit multiplications folded by xor.
#pragma once

#include <cstdint>
#include <cstring>

#include "schema/model/binding.h"

namespace dyncast::core {

inline uint64_t Mix(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Equal for equal keys and seeds, on every machine of one byte order.
inline uint64_t HashKey(const BindingKey& key, uint64_t seed) {
  uint64_t w[2];
  std::memcpy(w, key.client.octets().data(), sizeof w);
  const uint64_t rest = static_cast<uint64_t>(key.src_port) << 48 |
                        static_cast<uint64_t>(key.dst_port) << 32 |
                        static_cast<uint64_t>(key.service.value()) << 16 | key.at.value();
  const uint64_t k = seed ^ 0xA0761D6478BD642Full;
  const uint64_t first = Mix(w[0] ^ k, w[1] ^ 0xE7037ED1A0B428DBull);
  const uint64_t second =
      Mix(rest ^ k ^ 0x8EBC6AF09C88C6E3ull, (static_cast<uint64_t>(key.proto) + 1) * 0x589965CC75374CC3ull);
  return Mix(first ^ 0x1D8E4E27C47D124Full, second ^ k);
}

}  // namespace dyncast::core
