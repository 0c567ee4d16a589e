// What a dump tells of a switch's in-switch dispatch. Pure.
#pragma once

#include <vector>

#include "ovs-integration/openflow/flow_diff.h"
#include "ovs-integration/openflow/group_codec.h"
#include "schema/model/binding.h"

namespace dyncast::openflow {

// One for each service with a dispatch flow or a whole select group, by id.
std::vector<FoundDispatch> FindDispatch(const Images& flows, const Groups& groups);
// No flow that is made from a plan.
bool IsEmpty(const Images& flows);

}  // namespace dyncast::openflow
