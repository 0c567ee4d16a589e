// The parts of a plan beside bridge and ports: timeouts of connection tracking zones, and limits of flow
// tables. Internal to ovsdb/.
#pragma once

#include "ovs-integration/ovsdb/plan.h"

namespace dyncast::ovsdb {

// Append to *out. Precondition: the bridge is ours, or is made by the same transaction (`bridge` is null
// then). A zone, or a table's settings, without our mark is left alone and named in out->problems.
void PlanZones(const Database& db, const DesiredBridge& desired, PlanResult* out);
void PlanFlowTables(const Database& db, const DesiredBridge& desired, const Uuid& bridge_uuid,
                    const BridgeRow* bridge, PlanResult* out);

// Take our marks off; the settings stay.
void ReleaseZones(const Database& db, const DesiredBridge& formerly, PlanResult* out);
void ReleaseFlowTables(const Database& db, const DesiredBridge& formerly, const BridgeRow& bridge,
                       PlanResult* out);

}  // namespace dyncast::ovsdb
