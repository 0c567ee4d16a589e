// A service as the operator declares it: D-SID, ports, affinity, selection.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/ids.h"
#include "schema/base/ip.h"
#include "schema/model/score.h"

namespace dyncast {

// kIcmp stands for ICMPv6 (58) too: the address tells the family.
enum class IpProto : uint8_t { kAny = 0, kIcmp = 1, kTcp = 6, kUdp = 17, kSctp = 132 };
std::string_view IpProtoName(IpProto proto);  // "any", "icmp", "tcp", "udp", "sctp"

// What makes two packets one flow (draft section 4.2.1). Application-independent.
enum class AffinityKind : uint8_t {
  k5Tuple,        // source IP, destination IP, protocol, source port, destination port
  k4Tuple,        // 5-tuple without the source port (draft Figure 3)
  k3Tuple,        // source IP, destination IP, protocol (the draft's RTP case)
  kClient,        // source IP
  kClientPrefix,  // the source IP's first bits
};
std::string_view AffinityKindName(AffinityKind kind);  // as in fabric.yaml

// How a switch holds bindings (docs/pipeline.md compares them with numbers).
enum class BindingStoreKind : uint8_t {
  kAuto,         // by limit: kTimed up to kTimedStoreMost bindings, kGenerations above
  kTimed,        // one flow each, with its idle and FIN timeout; each change costs OVS O(timed flows)
  kGenerations,  // flows without timeouts in two tables; a binding ends idle_timeout to twice that after its
                 // last packet. Any number
  kConntrack,    // marks of connection tracking, without NAT. 5-tuple and dispatch learn only; the
                 // controller does not see single bindings. At D-Forwarders as kAuto, see StoreAt
  kNone,         // the hash over the key alone. dispatch learn only; flows move when shares do
};
std::string_view BindingStoreKindName(BindingStoreKind kind);  // "auto", "timed", "generations", ...

// What a store of timed flows may hold before `auto` leaves it (docs/performance.md has the measurements).
inline constexpr uint32_t kTimedStoreMost = 20000;

struct Affinity {
  AffinityKind kind = AffinityKind::k5Tuple;
  // Bits of the source IP that count; full length but for kClientPrefix.
  uint8_t prefix_v4 = 32;
  uint8_t prefix_v6 = 128;
  // A binding ends when no packet of the flow came for this long. 1..65535 s (OpenFlow holds 16 bits).
  std::chrono::seconds idle_timeout{60};
  // After the client's FIN or RST the binding ends this long after its last packet; 0: not used.
  // Only 5-tuple bindings of TCP: a coarser key covers connections that still run.
  std::chrono::seconds fin_timeout{5};
  // Bindings a service may hold per switch; demands beyond are served without one, and counted.
  uint32_t limit = 100000;
  BindingStoreKind store = BindingStoreKind::kAuto;
  friend bool operator==(const Affinity&, const Affinity&) = default;
};
// The store that `affinity` means: never kAuto.
BindingStoreKind StoreOf(const Affinity& affinity);

enum class Dispatch : uint8_t { kReactive, kLearn };
std::string_view DispatchName(Dispatch dispatch);

// What a demand gets when no instance may take it.
enum class NoInstanceAction : uint8_t { kDrop, kUnreachable /* ICMP type 3 code 1 */ };

// docs/selection.md has formula, source and use of each.
enum class PolicyKind : uint8_t {
  kRoundRobin,
  kStatic,
  kLeastLoaded,
  kWeighted,
  kLeastBindings,
  kLowestDelay,
  kPowerOfTwo,
  kWaterFilling,
  kAuto,
};
std::string_view PolicyKindName(PolicyKind kind);  // "round-robin", "static", ...

// One term of a multi-dimensional load: weight * value / scale.
struct MetricTerm {
  std::string metric;   // an L0 metric name, see schema/model/metric.h
  double weight = 1.0;  // > 0
  double scale = 1.0;   // > 0, in the metric's unit: the value that counts as fully loaded
  friend bool operator==(const MetricTerm&, const MetricTerm&) = default;
};

struct Selection {
  PolicyKind policy = PolicyKind::kAuto;
  // What `load` is for least-loaded, and what utilisation is for weighted and least-bindings. Empty:
  // the largest of the utilisation metrics that an instance reports.
  std::vector<MetricTerm> load;
  // An instance younger than this gets a growing part of its share; 0: at once its whole share.
  std::chrono::milliseconds slow_start{0};
  // Metrics older than this are not used (the instance counts as average).
  std::chrono::milliseconds metrics_expiry{10000};
  // What an instance reports in this time after it came up is not used either: its first figures are of its
  // start, not of its work. Not after a start of the controller for instances known from before.
  std::chrono::milliseconds blackout{2000};
  // No instance gets more than this part of the new demands, as long as others could take them. > 0, <= 1
  double max_share = 1.0;
  // dispatch learn: weights alone change a switch's shares at most once in this time.
  std::chrono::milliseconds weights_gap{1000};
  friend bool operator==(const Selection&, const Selection&) = default;
};

struct PortRange {
  IpProto proto = IpProto::kTcp;
  uint16_t first = 0;  // first <= last; both 1..65535. Both 0 for kIcmp: echo requests, ICMP and ICMPv6
  uint16_t last = 0;
  friend bool operator==(const PortRange&, const PortRange&) = default;
};

struct ServiceSpec {
  std::string name;                 // [a-z0-9][a-z0-9-]{0,62}
  std::optional<IpAddress> sid_v4;  // at least one of the two
  std::optional<IpAddress> sid_v6;
  std::vector<PortRange> ports;  // not empty, disjoint
  Dispatch dispatch = Dispatch::kReactive;
  Affinity affinity;
  Selection selection;
  ScoreSettings scores{};  // on top of those for all services
  NoInstanceAction no_instance = NoInstanceAction::kUnreachable;
  friend bool operator==(const ServiceSpec&, const ServiceSpec&) = default;
};

}  // namespace dyncast
