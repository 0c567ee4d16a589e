#include "controller/core/services.h"

#include <set>

#include "schema/model/binding.h"

namespace dyncast::core {

bool KeysDiffer(const Affinity& a, const Affinity& b) {
  if (a.kind != b.kind) return true;
  return a.kind == AffinityKind::kClientPrefix && (a.prefix_v4 != b.prefix_v4 || a.prefix_v6 != b.prefix_v6);
}

bool KeyFits(const Affinity& affinity, const BindingKey& key) {
  const Demand demand{.client = key.client,
                      .sid = {},
                      .proto = key.proto,
                      .src_port = key.src_port,
                      .dst_port = key.dst_port};
  if (MakeBindingKey(affinity, key.at, key.service, demand) != key) return false;
  const bool has_proto = affinity.kind == AffinityKind::k5Tuple || affinity.kind == AffinityKind::k4Tuple ||
                         affinity.kind == AffinityKind::k3Tuple;
  if (has_proto && key.proto == IpProto::kAny) return false;
  const bool ports_known =
      key.proto == IpProto::kTcp || key.proto == IpProto::kUdp || key.proto == IpProto::kSctp;
  if (!ports_known) return true;
  if (affinity.kind == AffinityKind::k5Tuple) return key.src_port != 0 && key.dst_port != 0;
  return affinity.kind != AffinityKind::k4Tuple || key.dst_port != 0;
}

Service* ServiceTable::Make(ServiceId id, std::string_view name) {
  if (services_.size() <= id.value()) services_.resize(size_t{id.value()} + 1);
  auto& slot = services_[id.value()];
  slot = std::make_unique<Service>();
  slot->id = id;
  slot->spec.name = std::string(name);
  return slot.get();
}

void ServiceTable::Load(const std::vector<ServiceRecord>& records) {
  for (const ServiceRecord& record : records) {
    if (!ids_.Adopt(record.name, record.id)) continue;
    Service* service = Make(record.id, record.name);
    service->spec.sid_v4 = record.sid_v4;
    service->spec.sid_v6 = record.sid_v6;
    // Remembered as configured, so that Configure sees a removal that happened while we were away.
    service->configured = !record.removed;
  }
}

ServiceTable::Changes ServiceTable::Configure(const std::vector<ServiceSpec>& specs) {
  Changes changes;
  std::set<ServiceId> named;
  for (const ServiceSpec& spec : specs) {
    const bool known = ids_.Find(spec.name).has_value();
    const auto id = ids_.Get(spec.name);
    if (!id) {
      changes.without_id.push_back(spec.name);
      continue;
    }
    Service* service = known ? Find(*id) : Make(*id, spec.name);
    named.insert(*id);
    const bool row_changed = !known || !service->configured || service->spec.sid_v4 != spec.sid_v4 ||
                             service->spec.sid_v6 != spec.sid_v6;
    // A service of the database has no ports: what its key was is not known, KeyFits will tell.
    if (service->configured && !service->spec.ports.empty() &&
        KeysDiffer(service->spec.affinity, spec.affinity)) {
      changes.unbind.push_back(*id);
    }
    service->spec = spec;
    service->configured = true;
    service->context_changed = true;
    service->shares_dirty = true;
    if (row_changed) {
      changes.records.push_back({.id = *id, .name = spec.name, .sid_v4 = spec.sid_v4, .sid_v6 = spec.sid_v6});
    }
  }
  for (const auto& service : services_) {
    if (!service || !service->configured || named.count(service->id) != 0) continue;
    service->configured = false;
    service->shares_dirty = true;
    changes.unbind.push_back(service->id);
    changes.records.push_back({.id = service->id,
                               .name = service->spec.name,
                               .sid_v4 = service->spec.sid_v4,
                               .sid_v6 = service->spec.sid_v6,
                               .removed = true});
  }
  return changes;
}

Service* ServiceTable::FindByName(std::string_view name) const {
  const auto id = ids_.Find(name);
  return id ? Find(*id) : nullptr;
}

}  // namespace dyncast::core
