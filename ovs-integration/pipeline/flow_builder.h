// Collects flows while a plan is compiled. Internal to pipeline/.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ovs-integration/pipeline/compile.h"
#include "ovs-integration/pipeline/layout.h"
#include "ovs-integration/pipeline/match_text.h"
#include "schema/model/switch_plan.h"

namespace dyncast::pipeline {

// What a flow is about, for its cookie.
struct FlowSubject {
  FlowKind kind = FlowKind::kStatic;
  ServiceId service{};
  InstanceId instance{};
};

class FlowBuilder {
 public:
  explicit FlowBuilder(const SwitchPlan& plan);  // `plan` outlives the builder

  const SwitchPlan& plan() const { return plan_; }
  const PlannedService* Find(ServiceId id) const;  // nullptr: not in the plan
  // True if later fragments to (D-SID of `service`, proto) can be steered: no other service claims the
  // D-SID and protocol, and the key has no ports.
  bool SteersLaterFragments(const PlannedService& service, IpProto proto) const;
  // True if another instance has the same D-BID.
  bool SharesBid(const PlannedInstance& instance) const;

  // A trailing comma of `match` is cut off.
  void Add(Table table, uint16_t priority, std::string match, std::string actions,
           const FlowSubject& subject = {});
  // "meter:M,FIRST,controller(...)" for a packet-in, without the meter where the plan sets no limit. OVS
  // wants the meter before all else; it holds back the packet-in only, not what `first` learns.
  std::string Punt(PuntReason reason, ServiceId service, const std::string& first = {}) const;
  // Sorted; of several flows with the same table, priority and match the first added stays.
  std::vector<Flow> Take();

 private:
  const SwitchPlan& plan_;
  std::map<ServiceId, const PlannedService*> services_;
  std::map<std::pair<IpAddress, IpProto>, int> services_at_;  // how many services claim it
  std::map<IpAddress, int> instances_at_;                     // how many instances have this D-BID
  std::vector<Flow> flows_;
};

// "resubmit(,N)".
std::string Visit(Table table);
// "set_field:0xV->regN".
std::string SetRegister(int reg, uint64_t value);

std::set<IpProto> ProtosOf(const ServiceSpec& spec);

// The parts of a plan, each adding the flows of its tables. Precondition: CheckPlan(plan).ok().
void CompileClassify(FlowBuilder& out);
void CompileServices(FlowBuilder& out);   // service, select
void CompileInstances(FlowBuilder& out);  // egress, return
void CompileRouting(FlowBuilder& out);    // route, neighbor, output

// See Compile.
Status CheckPlan(const SwitchPlan& plan);

}  // namespace dyncast::pipeline
