#include "ovs-integration/ovsdb/ovsdb_manager.h"

#include <fmt/core.h>

#include <algorithm>
#include <list>
#include <map>

#include "ovs-integration/ovsdb/bridge_sync.h"
#include "ovs-integration/ovsdb/session.h"
#include "schema/base/log.h"

namespace dyncast::ovsdb {
namespace {

// A wish that no session can serve, and why.
struct Unserved {
  DesiredBridge desired;
  std::string why;
  bool told = false;
};

std::string WhyNot(const DesiredBridge& desired) {
  if (Status remote = Session::CheckRemote(desired.remote); !remote.ok()) return remote.error().message;
  if (desired.fabric.empty()) return "the fabric has no name to mark rows with";
  if (desired.bridge.empty()) return "the bridge has no name";
  return {};
}

bool SameBridge(const DesiredBridge& a, const DesiredBridge& b) {
  return a.remote == b.remote && a.bridge == b.bridge;
}

}  // namespace

struct OvsdbManager::Impl {
  Listener* listener = nullptr;
  std::list<BridgeSync> syncs;
  std::vector<Unserved> unserved;
  std::vector<DesiredBridge> next;  // SetDesired: taken over by the next Run
  bool changed = false;

  BridgeSync* Find(const DesiredBridge& desired) {
    for (BridgeSync& sync : syncs) {
      if (SameBridge(sync.desired(), desired)) return &sync;
    }
    return nullptr;
  }

  void TakeOver(Now now) {
    changed = false;
    unserved.clear();
    std::vector<const BridgeSync*> wanted;
    for (const DesiredBridge& desired : next) {
      std::string why = WhyNot(desired);
      BridgeSync* sync = why.empty() ? Find(desired) : nullptr;
      if (sync != nullptr && std::find(wanted.begin(), wanted.end(), sync) != wanted.end()) {
        why = fmt::format("bridge {} at {} is already that of switch {}", desired.bridge, desired.remote,
                          sync->desired().switch_name);
      }
      if (!why.empty()) {
        unserved.push_back({.desired = desired, .why = std::move(why)});
        continue;
      }
      if (sync == nullptr) {
        sync = &syncs.emplace_back(desired);
      } else {
        sync->Want(desired);
      }
      wanted.push_back(sync);
    }
    for (BridgeSync& sync : syncs) {
      const bool kept = std::find(wanted.begin(), wanted.end(), &sync) != wanted.end();
      if (!kept && !sync.releasing()) sync.Release(now);
    }
    next.clear();
  }
};

OvsdbManager::OvsdbManager(Listener* listener) : impl_(std::make_unique<Impl>()) {
  impl_->listener = listener;
}

OvsdbManager::~OvsdbManager() = default;

void OvsdbManager::SetDesired(std::vector<DesiredBridge> desired) {
  impl_->next = std::move(desired);
  impl_->changed = true;
}

void OvsdbManager::Run(Now now) {
  if (impl_->changed) impl_->TakeOver(now);
  // Told after all have run, so that a listener may call SetDesired.
  std::vector<std::pair<std::string, Report>> reports;
  for (BridgeSync& sync : impl_->syncs) {
    reports.emplace_back(sync.desired().switch_name, sync.Run(now));
    if (sync.releasing()) reports.back().second.ports.reset();
  }
  impl_->syncs.remove_if([](const BridgeSync& sync) { return sync.released(); });
  for (Unserved& wish : impl_->unserved) {
    if (wish.told) continue;
    wish.told = true;
    DYN_WARN("DC-OV-003", "ovsdb", "unserved", "switch={} what=\"{}\"", wish.desired.switch_name, wish.why);
    reports.emplace_back(wish.desired.switch_name, Report{.ports = {}, .problems = {wish.why}});
  }
  for (const auto& [name, report] : reports) {
    for (const std::string& problem : report.problems) impl_->listener->OnProblem(name, problem);
    if (report.ports) impl_->listener->OnPorts(name, *report.ports);
  }
}

void OvsdbManager::Wait(Now now) {
  for (BridgeSync& sync : impl_->syncs) sync.Wait(now);
  if (impl_->changed) Session::WakeAfter(Micros{0});
}

std::vector<BridgeStatus> OvsdbManager::Statuses() const {
  std::vector<BridgeStatus> statuses;
  for (const BridgeSync& sync : impl_->syncs) {
    if (!sync.releasing()) statuses.push_back(sync.status());
  }
  for (const Unserved& wish : impl_->unserved) {
    BridgeStatus status;
    status.switch_name = wish.desired.switch_name;
    status.state = "refused";
    status.last_error = wish.why;
    statuses.push_back(std::move(status));
  }
  return statuses;
}

}  // namespace dyncast::ovsdb
