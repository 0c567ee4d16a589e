// The stable text forms of the model's closed sets, and the rules that belong to single values.
#include <cmath>

#include "schema/model/binding.h"
#include "schema/model/metric.h"
#include "schema/model/record.h"
#include "schema/model/score.h"
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

std::string_view BindingStoreKindName(BindingStoreKind kind) {
  switch (kind) {
    case BindingStoreKind::kAuto: return "auto";
    case BindingStoreKind::kTimed: return "timed";
    case BindingStoreKind::kGenerations: return "generations";
    case BindingStoreKind::kConntrack: return "conntrack";
    case BindingStoreKind::kNone: return "none";
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
    case PolicyKind::kLowestDelay: return "lowest-delay";
    case PolicyKind::kPowerOfTwo: return "power-of-two";
    case PolicyKind::kWaterFilling: return "water-filling";
    case PolicyKind::kAuto: return "auto";
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

std::string_view MetricLevelName(MetricLevel level) {
  switch (level) {
    case MetricLevel::kL0: return "L0";
    case MetricLevel::kL1: return "L1";
    case MetricLevel::kL2: return "L2";
  }
  return "?";
}

std::string_view MetricSourceName(MetricSource source) {
  switch (source) {
    case MetricSource::kNominal: return "nominal";
    case MetricSource::kMeasured: return "measured";
    case MetricSource::kEstimated: return "estimated";
    case MetricSource::kAggregated: return "aggregated";
    case MetricSource::kDirect: return "direct";
    case MetricSource::kNormalized: return "normalized";
  }
  return "?";
}

std::string_view MetricStatisticName(MetricStatistic statistic) {
  switch (statistic) {
    case MetricStatistic::kInstant: return "instant";
    case MetricStatistic::kMean: return "mean";
    case MetricStatistic::kMin: return "min";
    case MetricStatistic::kMax: return "max";
    case MetricStatistic::kP50: return "p50";
    case MetricStatistic::kP99: return "p99";
    case MetricStatistic::kRate: return "rate";
  }
  return "?";
}

std::string_view ScoreCategoryName(ScoreCategory category) {
  switch (category) {
    case ScoreCategory::kCompute: return "compute";
    case ScoreCategory::kCommunication: return "communication";
    case ScoreCategory::kService: return "service";
  }
  return "?";
}

std::string_view ScoreMetricName(ScoreCategory category) {
  switch (category) {
    case ScoreCategory::kCompute: return "computing_comb";
    case ScoreCategory::kCommunication: return "communication_comb";
    case ScoreCategory::kService: return "service_comb";
  }
  return "?";
}

std::string_view ScoreMeaningName(ScoreMeaning meaning) {
  switch (meaning) {
    case ScoreMeaning::kNotRecommended: return "not-recommended";
    case ScoreMeaning::kOptional: return "optional";
    case ScoreMeaning::kPriority: return "priority";
  }
  return "?";
}

std::string_view OverTimeName(OverTime how) {
  switch (how) {
    case OverTime::kLast: return "last";
    case OverTime::kMean: return "mean";
    case OverTime::kMin: return "min";
    case OverTime::kMax: return "max";
  }
  return "?";
}

std::string_view CombineName(Combine how) {
  switch (how) {
    case Combine::kMin: return "min";
    case Combine::kMean: return "mean";
    case Combine::kMax: return "max";
    case Combine::kWeighted: return "weighted";
  }
  return "?";
}

std::string_view CapacityTermName(CapacityTerm term) {
  switch (term) {
    case CapacityTerm::kNone: return "none";
    case CapacityTerm::kCpuCores: return "cpu_cores";
    case CapacityTerm::kMemoryBytes: return "memory_bytes";
    case CapacityTerm::kGpus: return "gpus";
    case CapacityTerm::kMaxSessions: return "max_sessions";
    case CapacityTerm::kRequestsPerS: return "requests_per_s";
  }
  return "?";
}

bool PlausibleMetric(const MetricSample& sample) {
  if (!std::isfinite(sample.value) || sample.value < 0) return false;
  if (sample.level != MetricLevel::kL0) return sample.value <= kMostScore;
  return sample.unit != "ratio" || sample.value <= 64.0;
}

BindingStoreKind StoreOf(const Affinity& affinity) {
  if (affinity.store != BindingStoreKind::kAuto) return affinity.store;
  return affinity.limit <= kTimedStoreMost ? BindingStoreKind::kTimed : BindingStoreKind::kGenerations;
}

BindingStoreKind StoreAt(SwitchRole role, const Affinity& affinity) {
  if (role != SwitchRole::kDForwarder || affinity.store != BindingStoreKind::kConntrack) {
    return StoreOf(affinity);
  }
  Affinity told = affinity;
  told.store = BindingStoreKind::kAuto;
  return StoreOf(told);
}

KeyForm KeyFormAt(SwitchRole role, const ServiceSpec& spec) {
  return role == SwitchRole::kDRouter && spec.dispatch == Dispatch::kReactive ? KeyForm::kHeader
                                                                              : KeyForm::kRegisters;
}

BindingPlace PlaceAt(SwitchRole role, const PlannedService& service) {
  const KeyForm form = KeyFormAt(role, service.spec);
  return StoreAt(role, service.spec.affinity) == BindingStoreKind::kTimed
             ? TimedPlace(form)
             : GenerationPlace(service.generation, form);
}

uint8_t ClientBits(const Affinity& affinity, const IpAddress& client) {
  if (affinity.kind != AffinityKind::kClientPrefix) return kAllClientBits;
  const uint8_t bits = client.is_v4() ? affinity.prefix_v4 : affinity.prefix_v6;
  return bits >= (client.is_v4() ? 32 : 128) ? kAllClientBits : bits;
}

BindingKey MakeBindingKey(const Affinity& affinity, SwitchId at, ServiceId service, const Demand& demand) {
  BindingKey key;
  key.at = at;
  key.service = service;
  key.client = demand.client;
  const bool ports = demand.proto != IpProto::kIcmp;  // type, code and identifier are no ports
  switch (affinity.kind) {
    case AffinityKind::k5Tuple: key.src_port = ports ? demand.src_port : uint16_t{0}; [[fallthrough]];
    case AffinityKind::k4Tuple: key.dst_port = ports ? demand.dst_port : uint16_t{0}; [[fallthrough]];
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
