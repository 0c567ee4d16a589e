// Desired against installed: what to add, delete and keep. Pure.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ovs-integration/openflow/flow_image.h"
#include "ovs-integration/openflow/group_codec.h"
#include "ovs-integration/openflow/switch_server.h"
#include "ovs-integration/openflow/tunnel_options.h"
#include "ovs-integration/pipeline/compile.h"
#include "schema/base/result.h"

namespace dyncast::openflow {

using ImagePtr = std::shared_ptr<const FlowImage>;
using Images = std::unordered_map<std::string, ImagePtr>;  // by FlowImage::Key
using Meters = std::map<uint32_t, pipeline::Meter>;

struct Desired {
  TunnelOptions options;
  Images flows;
  Meters meters;
  Groups groups;
};

// Flow texts that were compiled before, so that a small change of a large plan costs little.
class ImageCache {
 public:
  // kConflict if two flows have the same table, priority and match; kLimit for a group that no message holds;
  // and what CheckTunnelOptions and CheckOptionFields say.
  Result<std::shared_ptr<const Desired>> Compile(const pipeline::Compiled& compiled);

 private:
  std::unordered_map<std::string, ImagePtr> by_text_;
  TunnelOptions options_;  // with which by_text_ was checked
};

// Groups and flows go in this order: a flow never names a group that is not there, and the switch deletes the
// flows of a group that goes.
enum class ChangeKind : uint8_t { kGroupAdd, kGroupModify, kFlowAdd, kFlowRemove, kGroupRemove };
struct Change {
  ChangeKind kind = ChangeKind::kFlowAdd;
  ImagePtr flow;          // of a flow
  pipeline::Group group;  // of a group

  // The octets it takes in a bundle, about.
  size_t Size() const;
  // What it is, with its service, for the message that it was refused.
  std::string ToString() const;
};

struct Difference {
  // Not empty: nothing can be done, and why.
  std::string refusal;
  std::vector<pipeline::TunnelOption> options_add;  // before all else
  // New and changed flows with the last table first: a packet never meets half a pipeline.
  std::vector<Change> changes;
  std::vector<pipeline::Meter> meters_add;
  std::vector<pipeline::Meter> meters_modify;
  std::vector<pipeline::Meter> meters_remove;
  SyncReport report;

  bool empty() const {
    return refusal.empty() && options_add.empty() && changes.empty() && meters_add.empty() &&
           meters_modify.empty() && meters_remove.empty();
  }
};

// What a switch holds.
struct Installed {
  std::optional<OptionTable> options;  // nullopt: not asked for
  Images flows;
  Meters meters;
  Groups groups;
};

// Meters and groups bear no cookie. Meters with an id that is neither wanted nor of the layout are others',
// and so are groups that are neither wanted, nor of our shape, nor of a service with flows of ours: left
// alone.
Difference Compare(const Desired& desired, const Installed& installed);

}  // namespace dyncast::openflow
