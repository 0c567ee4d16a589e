// Collects flows while a plan is compiled. Internal to pipeline/.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ovs-integration/pipeline/compile.h"
#include "ovs-integration/pipeline/family.h"
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

  // True if fragments to the D-SID (which shows no ports, and in IPv6's later ones no protocol) can only be
  // the service's. Precondition: it has a D-SID of that family.
  bool SteersFragments(const PlannedService& service, IpProto proto, Family family) const;
  // True if fragments from the D-BID can only be answers of this instance.
  bool RestoresFragments(const PlannedInstance& instance, IpProto proto) const;

  // A trailing comma of `match` is cut off.
  void Add(Table table, uint16_t priority, std::string match, std::string actions,
           const FlowSubject& subject = {});
  // "meter:M,FIRST,controller(...)" for a packet-in, without the meter where the plan sets no limit. OVS
  // wants the meter before all else; it holds back the packet-in only, not what `first` learns.
  std::string Punt(PuntReason reason, ServiceId service, const std::string& first = {}) const;
  // Sorted; of several flows with the same table, priority and match the first added stays.
  std::vector<Flow> Take();

 private:
  using Claims = std::set<std::pair<ServiceId, IpProto>>;
  static bool Alone(const std::map<IpAddress, Claims>& claims, const IpAddress& address, IpProto proto);

  const SwitchPlan& plan_;
  std::map<ServiceId, const PlannedService*> services_;
  std::map<IpAddress, Claims> at_sid_;  // who is at a D-SID
  std::map<IpAddress, Claims> at_bid_;  // whose instances answer from a D-BID
  std::vector<Flow> flows_;
};

// Which meter holds back packet-ins of that reason, and its packets per second (0: no limit, no meter).
uint32_t MeterOf(PuntReason reason);
uint32_t MeterLimit(const PuntLimits& limits, uint32_t meter);

// "resubmit(,N)".
std::string Visit(Table table);
// What sends a routed packet out: its neighbour, then its port.
std::string VisitOut();
// "set_field:0xV->regN".
std::string SetRegister(int reg, uint64_t value);

// Seconds as OpenFlow's 16 bits hold them; more is the most.
uint16_t TimeoutSeconds(std::chrono::seconds timeout);

std::set<IpProto> ProtosOf(const ServiceSpec& spec);
// True if the ports of a packet of `proto` are part of the service's key.
bool KeyHasPorts(const Affinity& affinity, IpProto proto);
bool KeyHasProto(const Affinity& affinity);

// Fields as `move` and `learn` name them: the ports of a protocol that has some.
std::string SourcePortField(IpProto proto);
std::string DestinationPortField(IpProto proto);
// Behind the field of the client's address: its bits that belong to the key, "[]" for all; empty: none.
std::string ClientBitRange(const Affinity& affinity, Family family);

// Fragments of a protocol, in two matches (nw_frag=yes would be one, but a switch shows it with another mask
// than it was sent with). In OVS's fragment mode `normal` not even the first one shows its ports.
struct FragmentMatch {
  std::string protocol;  // "udp"; "ipv6" for later fragments of IPv6, which do not show it
  const char* which;     // ",nw_frag=first"
};
std::array<FragmentMatch, 2> FragmentMatches(IpProto proto, Family family);
// True where OVS takes octets of a later IPv4 fragment for a checksum, which it changes with the address.
inline bool SpoiledAsLaterFragment(IpProto proto) { return proto == IpProto::kTcp || proto == IpProto::kUdp; }

// Types of ICMP, or ICMPv6, errors: they quote the packet that they are about.
const std::vector<int>& IcmpErrorTypes(Family family);

// The parts of a plan, each adding the flows of its tables. Precondition: CheckPlan(plan).ok().
void CompileClassify(FlowBuilder& out);
void CompileServices(FlowBuilder& out);   // service
void CompileStores(FlowBuilder& out);     // lookup, older, renew, marked, select, learn
void CompileInstances(FlowBuilder& out);  // egress, return, returned
void CompileTunnel(FlowBuilder& out);     // tunnel, offer, miss, ask
void CompileRouting(FlowBuilder& out);    // route, neighbor, output
// What a plan with a tunnel needs of the switch's TLV map.
std::vector<TunnelOption> TunnelOptions();

// See Compile.
Status CheckPlan(const SwitchPlan& plan);

}  // namespace dyncast::pipeline
