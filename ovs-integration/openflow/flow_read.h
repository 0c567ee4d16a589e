// What a switch tells of its flows: statistics (dumps), ends, and the updates of the flow monitor. Bindings
// are read by hand, since there may be a million of them; all other flows go through libopenvswitch.
#pragma once

#include <unordered_set>
#include <vector>

#include "ovs-integration/openflow/flow_image.h"
#include "ovs-integration/openflow/wire.h"
#include "ovs-integration/pipeline/layout.h"
#include "schema/base/result.h"
#include "schema/model/binding.h"

namespace dyncast::openflow {

// What one flow statistics reply holds of ours.
struct FoundFlows {
  std::vector<FoundBinding> bindings;
  // Services with bindings in a form that is learned, not pushed.
  std::unordered_set<ServiceId> learning;
  std::vector<FlowImage> images;  // static, dispatch and egress flows, and what only bears our cookie
};
// Appends. Flows of others and neighbours (which belong to the switch) are left out. Errors: kProtocol.
Status ReadFlowStats(ByteView message, FoundFlows* found);

// Packets that the flows of kind kUnbound in one flow statistics reply took, by service. Appends. Errors:
// kProtocol.
Status ReadUnbound(ByteView message, std::vector<UnboundPackets>* packets);

enum class RemovedReason : uint8_t { kIdle = 0, kHard = 1, kDelete = 2, kOther = 3 };
struct RemovedFlow {
  pipeline::FlowKind kind = pipeline::FlowKind::kBinding;
  RemovedReason reason = RemovedReason::kOther;
  FoundBinding binding;    // if kind is kBinding
  UnboundPackets unbound;  // if kind is kUnbound
  bool ours = false;
};
Result<RemovedFlow> ReadFlowRemoved(ByteView message);

// One message of the flow monitor (a multipart reply that answers nothing).
struct FlowUpdates {
  std::vector<FoundBinding> learned;  // added or changed
  bool paused = false;
  bool resumed = false;
};
// Replaces *updates (its memory is used again). Changes that we made ourselves, flows of others and ends are
// left out. Errors: kProtocol.
Status ReadFlowUpdates(ByteView message, FlowUpdates* updates);

}  // namespace dyncast::openflow
