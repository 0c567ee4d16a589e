#include "ovs-integration/openflow/found.h"

#include <map>

#include "ovs-integration/pipeline/layout.h"
#include "schema/model/switch_plan.h"

namespace dyncast::openflow {

using pipeline::FlowKind;

std::vector<FoundDispatch> FindDispatch(const Images& flows, const Groups& groups) {
  std::map<ServiceId, FoundDispatch> found;
  for (const auto& [key, image] : flows) {
    const auto cookie = pipeline::DecodeCookie(image->cookie());
    if (!cookie || cookie->kind != FlowKind::kDispatch || !cookie->service.valid()) continue;
    if (image->table() != static_cast<uint8_t>(pipeline::Table::kLookup)) continue;
    FoundDispatch& dispatch = found[cookie->service];
    dispatch.generation = cookie->instance.value() & 1;
    dispatch.binding_closed = (cookie->instance.value() >> 1 & 1) != 0;
  }
  for (const auto& [id, group] : groups) {
    const auto service = ServiceOfGroup(id);
    if (!service || group.slots.size() != kSlots) continue;
    FoundDispatch& dispatch = found[*service];
    (id == pipeline::GroupId(*service, true) ? dispatch.slots_v6 : dispatch.slots_v4) = group.slots;
  }
  std::vector<FoundDispatch> all;
  for (auto& [service, dispatch] : found) {
    dispatch.service = service;
    all.push_back(std::move(dispatch));
  }
  return all;
}

bool IsEmpty(const Images& flows) {
  for (const auto& [key, image] : flows) {
    const auto cookie = pipeline::DecodeCookie(image->cookie());
    if (cookie && cookie->kind != FlowKind::kBinding) return false;
  }
  return true;
}

}  // namespace dyncast::openflow
