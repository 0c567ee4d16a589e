// Which bucket OVS's select group takes for a key (selection_method=hash). Its documentation leaves the hash
// open; this is what releases 2.x and 3.x compute on machines that are little-endian and where OVS was built
// without CRC32 instructions: rounds of MurmurHash3 (Austin Appleby, public domain) over the fields in the
// order of OVS's field numbers (reg4, reg7, xxreg2), then for each bucket a round with its id, of which 16
// bits count. A test holds it to ofproto/trace.
#include <bit>
#include <cstdint>

#include "ovs-integration/pipeline/compile.h"

namespace dyncast::pipeline {
namespace {

uint32_t Mix(uint32_t hash, uint32_t word) {
  hash ^= std::rotl(word * 0xcc9e2d51u, 15) * 0x1b873593u;
  return std::rotl(hash, 13) * 5 + 0xe6546b64u;
}

uint32_t Finish(uint32_t hash, uint32_t octets) {
  hash ^= octets;
  hash = (hash ^ hash >> 16) * 0x85ebca6bu;
  hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
  return hash ^ hash >> 16;
}

// A register as OVS hashes it: network order, read as a number of the machine.
uint32_t Swapped(uint32_t word) {
  return word << 24 | (word << 8 & 0xff0000u) | (word >> 8 & 0xff00u) | word >> 24;
}

}  // namespace

size_t SlotOf(const BindingKey& key, size_t slots) {
  const KeyRegisters registers = RegistersOf(key);
  uint32_t basis = Finish(Mix(Mix(0, 0), 0), 8);  // selection_method_param 0
  for (uint32_t word : {registers.reg4, registers.reg7}) basis = Finish(Mix(basis, Swapped(word)), 4);
  for (uint32_t word : registers.xxreg2) basis = Mix(basis, Swapped(word));
  basis = Finish(basis, 16);

  size_t best = 0;
  uint32_t best_score = 0;
  for (size_t slot = 0; slot < slots; ++slot) {
    const uint32_t score = Finish(Mix(Mix(static_cast<uint32_t>(slot), 0), basis), 8) & 0xffffu;
    if (score < best_score) continue;  // of equal ones OVS takes the last
    best = slot;
    best_score = score;
  }
  return best;
}

}  // namespace dyncast::pipeline
