#include "ovs-integration/openflow/flow_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ovs-integration/pipeline/layout.h"

namespace dyncast::openflow {
namespace {

constexpr size_t kMaxDifferences = 20;

std::string CacheKey(const pipeline::Flow& f) {
  return fmt::format("{} {} {} {} {} {} {}|{}", f.table, f.priority, f.cookie, f.idle_timeout_s,
                     f.hard_timeout_s, f.send_flow_removed, f.match, f.actions);
}

std::string MeterText(const pipeline::Meter& m) {
  return fmt::format("meter={} rate={}/s burst={}", m.id, m.packets_per_s, m.burst_packets);
}

}  // namespace

Result<std::shared_ptr<const Desired>> ImageCache::Compile(const pipeline::Compiled& compiled) {
  auto desired = std::make_shared<Desired>();
  std::unordered_map<std::string, ImagePtr> used;
  for (const pipeline::Flow& flow : compiled.flows) {
    std::string text = CacheKey(flow);
    ImagePtr image;
    if (const auto it = by_text_.find(text); it != by_text_.end()) {
      image = it->second;
    } else {
      Result<FlowImage> made = ImageFromText(flow);
      if (!made) return made.error();
      image = std::make_shared<const FlowImage>(std::move(*made));
    }
    const auto [it, fresh] = desired->flows.emplace(image->Key(), image);
    if (!fresh) {
      return MakeError(Errc::kConflict,
                       fmt::format("two flows with the same table, priority and match: {}, and {}",
                                   it->second->ToString(), image->ToString()));
    }
    used.emplace(std::move(text), std::move(image));
  }
  for (const pipeline::Meter& meter : compiled.meters) {
    if (!desired->meters.emplace(meter.id, meter).second) {
      return MakeError(Errc::kConflict, fmt::format("meter {} is said twice", meter.id));
    }
  }
  by_text_ = std::move(used);
  return std::shared_ptr<const Desired>(std::move(desired));
}

Difference Compare(const Desired& desired, const Images& installed, const Meters& installed_meters) {
  Difference d;
  const auto say = [&](std::string text) {
    if (d.report.differences.size() < kMaxDifferences) d.report.differences.push_back(std::move(text));
  };
  for (const auto& [key, image] : desired.flows) {
    const auto it = installed.find(key);
    if (it == installed.end()) {
      say("missing: " + image->ToString());
    } else if (!it->second->SameBody(*image)) {
      say("wrong: " + it->second->ToString() + " instead of " + image->ToString());
    } else {
      ++d.report.kept;
      continue;
    }
    d.add.push_back(image);
  }
  for (const auto& [key, image] : installed) {
    if (desired.flows.contains(key)) continue;
    say("unwanted: " + image->ToString());
    d.remove.push_back(image);
  }
  for (const auto& [id, meter] : desired.meters) {
    const auto it = installed_meters.find(id);
    if (it == installed_meters.end()) {
      say("missing: " + MeterText(meter));
      d.meters_add.push_back(meter);
    } else if (it->second != meter) {
      say("wrong: " + MeterText(it->second) + " instead of " + MeterText(meter));
      d.meters_modify.push_back(meter);
    }
  }
  for (const auto& [id, meter] : installed_meters) {
    if (desired.meters.contains(id)) continue;
    if (id != pipeline::kDemandMeter && id != pipeline::kOtherMeter) continue;
    say("unwanted: " + MeterText(meter));
    d.meters_remove.push_back(meter);
  }
  // Octet 24 is the table. Within a table the bytes decide, so that equal work gives equal messages.
  const auto later_table_first = [](const ImagePtr& a, const ImagePtr& b) {
    return a->add[24] != b->add[24] ? a->add[24] > b->add[24] : a->add < b->add;
  };
  std::sort(d.add.begin(), d.add.end(), later_table_first);
  std::sort(d.remove.begin(), d.remove.end(), later_table_first);
  std::sort(d.report.differences.begin(), d.report.differences.end());
  d.report.added = d.add.size();
  d.report.deleted = d.remove.size();
  return d;
}

}  // namespace dyncast::openflow
