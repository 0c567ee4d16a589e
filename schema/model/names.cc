// The stable text forms of the model's closed sets, and the rules that belong to single values.
#include <cmath>

#include "schema/model/binding.h"
#include "schema/model/metric.h"
#include "schema/model/record.h"
#include "schema/model/service.h"
#include "schema/model/switch_plan.h"

namespace dyncast {

std::string_view IpProtoName(IpProto proto) {
  switch (proto) {
    case IpProto::kAny: return "any";
    case IpProto::kIcmp: return "icmp";
    case IpProto::kTcp: return "tcp";
    case IpProto::kUdp: return "udp";
    case IpProto::kSctp: return "sctp";
  }
  return "?";
}

std::string_view AffinityKindName(AffinityKind kind) {
  switch (kind) {
    case AffinityKind::k5Tuple: return "5-tuple";
    case AffinityKind::k4Tuple: return "4-tuple";
    case AffinityKind::k3Tuple: return "3-tuple";
    case AffinityKind::kClient: return "client";
    case AffinityKind::kClientPrefix: return "client/PREFIX";
  }
  return "?";
}

std::string_view DispatchName(Dispatch dispatch) {
  return dispatch == Dispatch::kLearn ? "learn" : "reactive";
}

std::string_view PolicyKindName(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::kRoundRobin: return "round-robin";
    case PolicyKind::kStatic: return "static";
    case PolicyKind::kLeastLoaded: return "least-loaded";
    case PolicyKind::kWeighted: return "weighted";
    case PolicyKind::kLeastBindings: return "least-bindings";
  }
  return "?";
}

std::string_view DecidedByName(DecidedBy by) {
  switch (by) {
    case DecidedBy::kController: return "controller";
    case DecidedBy::kSwitch: return "switch";
    case DecidedBy::kForwarder: return "forwarder";
  }
  return "?";
}

std::string_view EndReasonName(EndReason reason) {
  switch (reason) {
    case EndReason::kIdle: return "idle";
    case EndReason::kInstanceGone: return "instance-gone";
    case EndReason::kInstanceDrained: return "instance-drained";
    case EndReason::kServiceRemoved: return "service-removed";
    case EndReason::kReplaced: return "replaced";
    case EndReason::kFlowLost: return "flow-lost";
    case EndReason::kAwayEnded: return "away-ended";
  }
  return "?";
}

std::string_view InstanceStateName(InstanceState state) {
  switch (state) {
    case InstanceState::kUp: return "up";
    case InstanceState::kDraining: return "draining";
    case InstanceState::kDown: return "down";
  }
  return "?";
}

std::string_view StartReasonName(StartReason reason) {
  switch (reason) {
    case StartReason::kNew: return "new";
    case StartReason::kInstanceGone: return "instance-gone";
    case StartReason::kFound: return "found";
  }
  return "?";
}

std::string_view SwitchRoleName(SwitchRole role) {
  return role == SwitchRole::kDForwarder ? "d-forwarder" : "d-router";
}

std::string_view PortRoleName(PortRole role) {
  switch (role) {
    case PortRole::kAccess: return "access";
    case PortRole::kEdge: return "edge";
    case PortRole::kUplink: return "uplink";
  }
  return "?";
}

bool PlausibleMetric(const MetricSample& sample) {
  if (!std::isfinite(sample.value) || sample.value < 0) return false;
  return sample.unit != "ratio" || sample.value <= 64.0;
}

BindingKey MakeBindingKey(const Affinity& affinity, SwitchId at, ServiceId service, const Demand& demand) {
  BindingKey key;
  key.at = at;
  key.service = service;
  key.client = demand.client;
  switch (affinity.kind) {
    case AffinityKind::k5Tuple: key.src_port = demand.src_port; [[fallthrough]];
    case AffinityKind::k4Tuple: key.dst_port = demand.dst_port; [[fallthrough]];
    case AffinityKind::k3Tuple: key.proto = demand.proto; break;
    case AffinityKind::kClient: break;
    case AffinityKind::kClientPrefix:
      key.client =
          MaskAddress(demand.client, demand.client.is_v4() ? affinity.prefix_v4 : affinity.prefix_v6);
      break;
  }
  return key;
}

}  // namespace dyncast
