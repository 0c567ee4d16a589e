// Strong ids: explicit, comparable, hashable, without arithmetic.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace dyncast {

template <typename Tag, typename Rep>
class StrongId {
 public:
  using rep = Rep;
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  // 0 is never a valid id: registers of a switch start as 0, which means 'none'.
  constexpr bool valid() const { return value_ != 0; }
  friend constexpr auto operator<=>(StrongId, StrongId) = default;

 private:
  Rep value_ = 0;
};

// Fabric-wide numbers, given once by the controller and kept in its database: they stand in OpenFlow
// registers and cookies, so they must mean the same after a restart.
using ServiceId = StrongId<struct ServiceIdTag, uint16_t>;
using InstanceId = StrongId<struct InstanceIdTag, uint16_t>;
using SwitchId = StrongId<struct SwitchIdTag, uint16_t>;
// An OpenFlow port number (OpenFlow 1.5.1 section 7.2.1), local to one switch.
using PortNo = StrongId<struct PortNoTag, uint32_t>;
// An OpenFlow datapath id.
using DatapathId = StrongId<struct DatapathIdTag, uint64_t>;

}  // namespace dyncast

template <typename Tag, typename Rep>
struct std::hash<dyncast::StrongId<Tag, Rep>> {
  size_t operator()(dyncast::StrongId<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value()); }
};
