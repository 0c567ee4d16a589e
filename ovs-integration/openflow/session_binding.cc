// The session's bindings: what is pushed and removed, what the switch learns (flow monitor), and their ends.
#include <algorithm>
#include <utility>

#include "ovs-integration/openflow/oxm.h"
#include "ovs-integration/openflow/session.h"
#include "schema/base/log.h"

namespace dyncast::openflow {
namespace {

FoundBinding AsFound(const BindingFlow& flow) {
  const bool timed = IsTimed(flow.place);
  return {.key = flow.key,
          .instance = flow.instance,
          .idle_timeout = timed ? flow.idle_timeout : std::chrono::seconds{0},
          .place = flow.place,
          .client_bits = flow.client_bits};
}

}  // namespace

void Session::StartMonitors() {
  WrapXid(&next_xid_);
  for (const BindingPlace place : kBindingPlaces) {
    // What the controller decides is learned by renewals only.
    if (place == BindingPlace::kHeaderTimed) continue;
    const uint8_t table = TableOf(place);
    monitor_xids_.push_back(next_xid_);
    WriteFlowMonitorRequest(&out_, next_xid_++, table, table);
    ++counters_->messages_sent;
  }
}

bool Session::IsMonitorError(uint32_t xid, const ErrorMessage& error) {
  const bool ours = std::find(monitor_xids_.begin(), monitor_xids_.end(), xid) != monitor_xids_.end();
  if (!ours && error.type != kFlowMonitorFailed) return false;
  DYN_WARN("DC-OF-014", "switch", "no-monitor", "dpid={:#x} error={}", dpid_.value(), error.text);
  return true;
}

void Session::OnFlowUpdates(ByteView message) {
  const Status read = ReadFlowUpdates(message, &updates_);
  if (!read) return Malformed(read.error());
  if (updates_.paused) ++counters_->monitor_pauses;
  counters_->learned_received += updates_.learned.size();
  std::erase_if(updates_.learned, [&](const FoundBinding& b) {
    // What we are about to overwrite, or have deleted, was learned before the switch heard of it.
    if (bindings_.InstallPending(b.key)) return true;
    return std::any_of(forgetting_.begin(), forgetting_.end(), [&](const Forgetting& f) {
      return f.service == b.key.service && (f.place ? *f.place == b.place : f.instance == b.instance);
    });
  });
  if (dump_ && dump_->kind != DumpKind::kCount) {
    for (const FoundBinding& b : updates_.learned) dump_->changed[{b.key, b.place}] = b;
  }
  // What comes before OnFound becomes part of it.
  if (!found_once_) return;
  if (!updates_.learned.empty()) listener_->OnLearned(dpid_, updates_.learned);
  if (updates_.resumed) {
    DYN_WARN("DC-OF-015", "switch", "monitor-gap", "dpid={:#x} pauses={}", dpid_.value(),
             counters_->monitor_pauses);
    listener_->OnMonitorGap(dpid_);
  }
}

void Session::OnFlowRemoved(ByteView message, Now now) {
  ++counters_->flow_removed_received;
  const Result<RemovedFlow> removed = ReadFlowRemoved(message);
  if (!removed) return Malformed(removed.error());
  if (removed->kind == pipeline::FlowKind::kUnbound && found_once_) {
    listener_->OnUnboundCounted(dpid_, {removed->unbound});
  }
  if (!removed->ours || removed->kind != pipeline::FlowKind::kBinding) return;
  const BindingKey& key = removed->binding.key;
  if (dump_ && dump_->kind != DumpKind::kCount && !bindings_.InstallPending(key)) {
    dump_->changed[{key, removed->binding.place}] = std::nullopt;
  }
  // Evicted by the operator's own table limit: putting it back would evict another, without end.
  const bool ended = removed->reason != RemovedReason::kDelete;
  if (!ended && own_removals_.Take(removed->binding, now.mono)) return;
  // The key is being installed anew: this is its former flow's end, which means nothing any more.
  if (bindings_.InstallPending(key)) return;
  if (!found_once_) return;
  listener_->OnBindingEnded(dpid_, removed->binding, ended ? EndReason::kIdle : EndReason::kFlowLost);
}

void Session::OnBindingSent(const BindingKey& key, const BindingFlow* flow) {
  // An install in the learned form deletes what was pushed in the other.
  const bool replaces = flow != nullptr && FormOf(flow->place) == KeyForm::kRegisters &&
                        learning_.contains(key.service) && BindingEncoder::FormsDiffer(key);
  if (flow == nullptr || replaces) own_removals_.Key(key, now_);
  if (!dump_) return;
  if (flow != nullptr) {
    dump_->changed[{key, flow->place}] = AsFound(*flow);
    return;
  }
  for (const BindingPlace place : kBindingPlaces) dump_->changed[{key, place}] = std::nullopt;
}

void Session::Report(const std::vector<BindingQueue::Refused>& refused) {
  for (const BindingQueue::Refused& r : refused) {
    DYN_WARN("DC-OF-004", "switch", "binding-refused", "dpid={:#x} client={} service={} error={}",
             dpid_.value(), r.key.client.ToString(), r.key.service.value(), r.error);
    if (dump_) {
      for (const BindingPlace place : kBindingPlaces) dump_->changed.erase({r.key, place});
    }
    last_error_ = r.error;
    listener_->OnBindingRefused(dpid_, r.key, r.error);
  }
}

void Session::InstallBinding(const BindingFlow& flow, MonoTime now) {
  // Before OnFound nobody may know what to install; what comes then is repeated after it.
  if (!found_once_ || closed()) return;
  using Form = BindingEncoder::Form;
  const Form in_registers = learning_.contains(flow.key.service) ? Form::kLearned : Form::kPushed;
  bindings_.Install(flow, FormOf(flow.place) == KeyForm::kHeader ? Form::kHeader : in_registers, now);
}

void Session::RemoveBinding(const BindingKey& key, MonoTime now, uint8_t client_bits) {
  if (found_once_ && !closed()) bindings_.Remove(key, now, client_bits);
}

void Session::RemoveBindingsOf(ServiceId service, InstanceId instance, MonoTime now) {
  if (!found_once_ || closed()) return;
  bindings_.CancelOf(service, instance);
  WrapXid(&next_xid_);
  WriteDeleteBindingsOf(&out_, next_xid_++, service, instance);
  ++counters_->messages_sent;
  ++counters_->flow_mods_sent;
  own_removals_.Of(service, instance, now);
  Forget({.service = service, .instance = instance});
  if (!dump_) return;
  dump_->removed_of.emplace_back(service, instance);
  DropChanged([&](const FoundBinding& b) { return b.instance == instance && b.key.service == service; });
}

void Session::RemoveBindingsAt(ServiceId service, BindingPlace place, MonoTime now) {
  if (!found_once_ || closed()) return;
  bindings_.CancelAt(service, place);
  WrapXid(&next_xid_);
  WriteDeleteBindingsAt(&out_, next_xid_++, service, TableOf(place));
  ++counters_->messages_sent;
  ++counters_->flow_mods_sent;
  if (IsTimed(place)) own_removals_.At(service, place, now);
  Forget({.service = service, .place = place});
  if (!dump_) return;
  dump_->removed_at.emplace_back(service, place);
  DropChanged([&](const FoundBinding& b) { return b.place == place && b.key.service == service; });
}

void Session::Forget(Forgetting what) {
  if (!learning_.contains(what.service)) return;
  what.barrier_xid = next_xid_;
  forgetting_.push_back(what);
  Send(MsgType::kBarrierRequest, next_xid_++);
}

void Session::CountBindings(CountScope scope) {
  if (want_count_ != CountScope::kAll) want_count_ = scope;
}

}  // namespace dyncast::openflow
