// The services by id, those that were removed included: their ids stay taken.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "controller/core/id_allocator.h"
#include "controller/core/instance_load.h"
#include "controller/core/policy.h"
#include "schema/base/ids.h"
#include "schema/base/time.h"
#include "schema/config/fabric.h"
#include "schema/model/record.h"
#include "schema/model/score.h"
#include "schema/model/service.h"

namespace dyncast::core {

struct Instance;

struct Service {
  ServiceId id;
  ServiceSpec spec;
  ScoreModel scores;  // `metrics` of the configuration and the service's own settings, resolved
  bool configured = false;
  // All instances known, in the order of their ids, whatever their state.
  std::vector<Instance*> members;
  // The last DecisionContextRecord of each switch whose place in the network is known, and one for all others
  // (SwitchId{}). One is written when candidates changed; metrics change with every report of every instance:
  // for them alone it is written once in kContextGap, so that the database grows by time, not by reports.
  // What a decision cost each candidate is exact all the same.
  static constexpr std::chrono::seconds kContextGap{1};
  struct Recorded {
    uint64_t context = 0;
    uint64_t shape = 0;
    uint64_t reports = 0;  // that it knows
    MonoTime at{};
  };
  std::map<SwitchId, Recorded> contexts;
  bool context_changed = true;  // all of them are out of date
  uint64_t reports = 0;         // of its instances, so far
  // dispatch learn: instances, states, capacities or the configuration changed since the shares were made.
  bool shares_dirty = true;
  MonoTime shares_at{};
  // Its weights may have changed since: when to look at them.
  std::optional<MonoTime> look_at;
  std::array<size_t, 2> surplus{};  // instances that a select group has no room for: IPv6, IPv4
  ServiceLoad load;
  MonoTime paces_at{};  // when the members' paces were looked at last
  uint64_t demands = 0;
  uint64_t demands_refused = 0;
  uint64_t demands_unbound = 0;

  // The D-SID of the family of `like`; none if the service has no such D-SID.
  IpAddress SidFor(const IpAddress& like) const {
    return (like.is_v4() ? spec.sid_v4 : spec.sid_v6).value_or(IpAddress{});
  }
};

class ServiceTable {
 public:
  // Rows of the database; they are not configured until Configure says so.
  void Load(const std::vector<ServiceRecord>& records);

  struct Changes {
    std::vector<ServiceRecord> records;   // rows that are new or changed
    std::vector<ServiceId> unbind;        // removed, or with another affinity key: no binding may stay
    std::vector<std::string> without_id;  // all ids taken: such a service is not served
  };
  Changes Configure(const std::vector<ServiceSpec>& specs);

  // nullptr if unknown. Live as long as the table.
  Service* Find(ServiceId id) const {
    return id.value() < services_.size() ? services_[id.value()].get() : nullptr;
  }
  Service* FindByName(std::string_view name) const;
  // In the order of ids.
  template <typename F>
  void ForEach(F&& f) const {
    for (const auto& service : services_) {
      if (service) f(*service);
    }
  }

 private:
  Service* Make(ServiceId id, std::string_view name);

  IdAllocator<ServiceId> ids_;
  std::vector<std::unique_ptr<Service>> services_;  // by id
};

// True if the keys of bindings differ between the two.
bool KeysDiffer(const Affinity& a, const Affinity& b);
// True if MakeBindingKey could have made `key` under `affinity`.
bool KeyFits(const Affinity& affinity, const BindingKey& key);

}  // namespace dyncast::core
