// Internal to the emulated switch.
#pragma once

#include <cstdint>
#include <optional>

#include "ovs-integration/openflow/wire.h"

namespace dyncast::test {

// The group that a flow's instructions name; nullopt: none.
std::optional<uint32_t> GroupOf(openflow::ByteView instructions);

}  // namespace dyncast::test
