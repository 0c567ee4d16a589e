// The part of the plan that is the bridge's ports: the wanted ones, and the Geneve port of its tunnel.
// Internal to ovsdb/.
#pragma once

#include "ovs-integration/ovsdb/plan.h"
#include "ovs-integration/ovsdb/rows.h"

namespace dyncast::ovsdb {

// `bridge` is null where the plan makes it. Adds operations, changes, problems and numbers to *out.
void PlanPorts(const Database& db, const DesiredBridge& desired, const Uuid& bridge_uuid,
               const BridgeRow* bridge, PlanResult* out);

}  // namespace dyncast::ovsdb
