#include "ovs-integration/openflow/flow_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>
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
  Result<TunnelOptions> options = CheckTunnelOptions(compiled.tunnel_options);
  if (!options) return options.error();
  if (*options != std::exchange(options_, *options)) by_text_.clear();
  desired->options = std::move(*options);
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
      if (Status good = CheckOptionFields(*image, desired->options); !good.ok()) return good.error();
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
  for (const pipeline::Group& group : compiled.groups) {
    const Status sound = GroupCodec::Get().Check(group);
    if (!sound.ok()) return sound.error();
    if (!desired->groups.emplace(group.id, group).second) {
      return MakeError(Errc::kConflict, fmt::format("group {:#x} is said twice", group.id));
    }
  }
  by_text_ = std::move(used);
  return std::shared_ptr<const Desired>(std::move(desired));
}

size_t Change::Size() const {
  switch (kind) {
    case ChangeKind::kGroupAdd:
    case ChangeKind::kGroupModify: return GroupCodec::Get().BundledSize(group, GroupCommand::kAdd);
    case ChangeKind::kGroupRemove: return GroupCodec::Get().BundledSize(group, GroupCommand::kDelete);
    default: return flow->add.size();
  }
}

std::string Change::ToString() const {
  if (flow == nullptr) return GroupName(group);
  const auto cookie = pipeline::DecodeCookie(flow->cookie());
  const bool of_service = cookie && cookie->service.valid();
  return (of_service ? fmt::format("a flow of service {}: ", cookie->service.value()) : "a flow: ") +
         flow->ToString();
}

namespace {

class Comparison {
 public:
  Comparison(const Desired& desired, const Installed& installed) : desired_(desired), installed_(installed) {}

  Difference Run() && {
    CompareOptionTables();
    CompareFlows();
    CompareGroups();
    CompareMeters();
    // Within a table the bytes decide, so that equal work gives equal messages.
    std::sort(out_.changes.begin(), out_.changes.end(), [](const Change& a, const Change& b) {
      if (a.kind != b.kind) return a.kind < b.kind;
      if (a.flow == nullptr) return a.group.id < b.group.id;
      return a.flow->table() != b.flow->table() ? a.flow->table() > b.flow->table()
                                                : a.flow->add < b.flow->add;
    });
    std::sort(out_.report.differences.begin(), out_.report.differences.end());
    return std::move(out_);
  }

 private:
  template <typename Text>
  void Say(Text&& text) {
    if (out_.report.differences.size() < kMaxDifferences) out_.report.differences.push_back(text());
  }
  void Add(ChangeKind kind, ImagePtr flow, const pipeline::Group& group = {}) {
    const bool removal = kind == ChangeKind::kFlowRemove || kind == ChangeKind::kGroupRemove;
    ++(removal ? out_.report.deleted : out_.report.added);
    out_.changes.push_back({.kind = kind, .flow = std::move(flow), .group = group});
  }

  void CompareFlows() {
    for (const auto& [key, image] : desired_.flows) {
      const auto it = installed_.flows.find(key);
      if (it == installed_.flows.end()) {
        Say([&flow = *image] { return "missing: " + flow.ToString(); });
      } else if (!it->second->SameBody(*image)) {
        Say([&, &flow = *image] {
          return "wrong: " + it->second->ToString() + " instead of " + flow.ToString();
        });
      } else {
        ++out_.report.kept;
        continue;
      }
      Add(ChangeKind::kFlowAdd, image);
    }
    for (const auto& [key, image] : installed_.flows) {
      if (desired_.flows.contains(key)) continue;
      Say([&flow = *image] { return "unwanted: " + flow.ToString(); });
      Add(ChangeKind::kFlowRemove, image);
    }
  }

  void CompareGroups() {
    for (const auto& [id, group] : desired_.groups) {
      const auto it = installed_.groups.find(id);
      if (it == installed_.groups.end()) {
        Say([&what = group] { return "missing: " + GroupName(what); });
        Add(ChangeKind::kGroupAdd, nullptr, group);
      } else if (it->second != group) {
        Say([&, &what = group] {
          return "wrong: " + GroupName(it->second) + " instead of " + GroupName(what);
        });
        Add(ChangeKind::kGroupModify, nullptr, group);
      } else {
        ++out_.report.kept;
      }
    }
    std::unordered_set<uint16_t> services;
    const auto take = [&](const Images& images) {
      for (const auto& [key, image] : images) {
        if (const auto cookie = pipeline::DecodeCookie(image->cookie()))
          services.insert(cookie->service.value());
      }
    };
    bool taken = false;
    for (const auto& [id, group] : installed_.groups) {
      const auto service = ServiceOfGroup(id);
      if (!service || desired_.groups.contains(id)) continue;
      if (group.slots.empty()) {  // another shape: only the flows tell whose it is
        if (!std::exchange(taken, true)) take(installed_.flows), take(desired_.flows);
        if (!services.contains(service->value())) continue;
      }
      Say([&what = group] { return "unwanted: " + GroupName(what); });
      Add(ChangeKind::kGroupRemove, nullptr, group);
    }
  }

  void CompareOptionTables() {
    if (desired_.options.empty()) return;
    if (installed_.options && !installed_.options->refusal.empty()) {
      out_.refusal = "it does not tell its tunnel options: " + installed_.options->refusal;
    } else {
      const TunnelOptions none;
      const Status fit = CompareOptions(
          desired_.options, installed_.options ? installed_.options->options : none, &out_.options_add);
      if (!fit.ok()) out_.refusal = fit.error().message;
    }
    if (!out_.refusal.empty()) Say([&] { return "refused: " + out_.refusal; });
    for (const pipeline::TunnelOption& option : out_.options_add) {
      Say([&] { return "missing: " + OptionName(option); });
    }
  }

  void CompareMeters() {
    for (const auto& [id, meter] : desired_.meters) {
      const auto it = installed_.meters.find(id);
      if (it == installed_.meters.end()) {
        Say([&what = meter] { return "missing: " + MeterText(what); });
        out_.meters_add.push_back(meter);
      } else if (it->second != meter) {
        Say([&, &what = meter] {
          return "wrong: " + MeterText(it->second) + " instead of " + MeterText(what);
        });
        out_.meters_modify.push_back(meter);
      }
    }
    for (const auto& [id, meter] : installed_.meters) {
      if (desired_.meters.contains(id)) continue;
      if (!pipeline::IsOurMeter(id)) continue;
      Say([&what = meter] { return "unwanted: " + MeterText(what); });
      out_.meters_remove.push_back(meter);
    }
  }

  const Desired& desired_;
  const Installed& installed_;
  Difference out_;
};

}  // namespace

Difference Compare(const Desired& desired, const Installed& installed) {
  return Comparison(desired, installed).Run();
}

}  // namespace dyncast::openflow
