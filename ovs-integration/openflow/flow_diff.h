// Desired against installed: what to add, delete and keep. Pure.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "ovs-integration/openflow/flow_image.h"
#include "ovs-integration/openflow/switch_server.h"
#include "ovs-integration/pipeline/compile.h"
#include "schema/base/result.h"

namespace dyncast::openflow {

using ImagePtr = std::shared_ptr<const FlowImage>;
using Images = std::unordered_map<std::string, ImagePtr>;  // by FlowImage::Key
using Meters = std::map<uint32_t, pipeline::Meter>;

struct Desired {
  Images flows;
  Meters meters;
};

// Flow texts that were compiled before, so that a small change of a large plan costs little.
class ImageCache {
 public:
  // kConflict if two flows have the same table, priority and match.
  Result<std::shared_ptr<const Desired>> Compile(const pipeline::Compiled& compiled);

 private:
  std::unordered_map<std::string, ImagePtr> by_text_;
};

struct Difference {
  std::vector<ImagePtr> add;  // new and changed, the last table first: a packet never meets half a pipeline
  std::vector<ImagePtr> remove;
  std::vector<pipeline::Meter> meters_add;
  std::vector<pipeline::Meter> meters_modify;
  std::vector<pipeline::Meter> meters_remove;
  SyncReport report;

  bool empty() const {
    return add.empty() && remove.empty() && meters_add.empty() && meters_modify.empty() &&
           meters_remove.empty();
  }
};

// Meters bear no cookie: those with an id that is neither wanted nor of the layout are others', left alone.
Difference Compare(const Desired& desired, const Images& installed, const Meters& installed_meters);

}  // namespace dyncast::openflow
