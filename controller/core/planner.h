// What a switch must hold, made whole from configuration and registry each time: pure.
#pragma once

#include <map>
#include <string>

#include "controller/core/dispatch.h"
#include "controller/core/registry.h"
#include "controller/core/services.h"
#include "schema/config/fabric.h"
#include "schema/model/switch_plan.h"

namespace dyncast::core {

using PortNumbers = std::map<std::string, PortNo, std::less<>>;

// Whom a switch talks to by tunnel: see SwitchPlan.
struct TunnelPlan {
  std::vector<PlannedForwarder> forwarders;
  std::vector<IpAddress> d_routers;
  IpAddress ask;
  std::vector<InstanceId> gone;  // D-Forwarder: instances that are not there, but bound to; ordered by id
};

// Ports without a number are left out, and so are routes whose next hop lies on no port that is there.
SwitchPlan MakePlan(const config::FabricConfig& config, const config::SwitchConfig& sw, SwitchId id,
                    const PortNumbers& numbers, const ServiceTable& services, const Registry& registry,
                    const DispatchMap& dispatch, const TunnelPlan& tunnels);

// The port of the plan on whose network `address` lies (the longest prefix), and our address there.
// nullptr if there is none.
struct OnLink {
  const PlannedPort* port = nullptr;
  IpAddress gateway;
};
OnLink FindOnLink(const SwitchPlan& plan, const IpAddress& address);

// Where the plan's table route sends packets to `address`. nullptr if nowhere.
struct NextHop {
  const PlannedPort* port = nullptr;
  IpAddress address;  // `address` itself on a connected network
};
NextHop FindNextHop(const SwitchPlan& plan, const IpAddress& address);

}  // namespace dyncast::core
