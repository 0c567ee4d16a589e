// The session's syncs: the difference to what is wanted, in bundles, confirmed before the next one.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ovs-integration/openflow/session.h"
#include "schema/base/log.h"

namespace dyncast::openflow {

void Session::SetDesired(std::shared_ptr<const Desired> desired) {
  if (closed()) return;
  desired_ = std::move(desired);
  desired_changed_ = true;
  // What was refused may have gone; what the switch holds must be read again first.
  if (state_ == State::kRefused && retry_at_) retry_at_ = std::min(*retry_at_, now_ + kNewPlanWait);
}

bool Session::SyncDue() const {
  if (!desired_changed_ || sync_ || want_find_) return false;
  // A dump must see one state: the plan waits for it, or a check starts again after the plan, which is more
  // urgent. Plans that never end do not keep a check from its answer.
  if (dump_ && dump_->kind == DumpKind::kFind) return false;
  if (dump_ && dump_->kind == DumpKind::kCheck && abandoned_in_row_ >= kMaxAbandonedChecks) return false;
  return state_ == State::kFound || state_ == State::kSynced;
}

void Session::StartSync(MonoTime now) {
  if (dump_ && dump_->kind == DumpKind::kCheck) AbandonCheck();
  const Difference difference = Compare(*desired_, installed_, installed_meters_);
  desired_changed_ = false;
  synced_once_ = true;
  WrapXid(&next_xid_);
  Sync& sync = sync_.emplace();
  sync.first_xid = next_xid_;
  sync.target = desired_;
  sync.report = difference.report;
  sync.sent = now;
  state_ = State::kSyncing;
  // A flow may name a meter: meters come first, and go last.
  SendMeters(difference, true);
  SendFlows(difference, &sync);
  SendMeters(difference, false);
  const bool meters = !difference.meters_add.empty() || !difference.meters_modify.empty() ||
                      !difference.meters_remove.empty();
  if (meters) {  // a commit's answer confirms flows, but not meters
    sync.barrier_xid = next_xid_;
    Send(MsgType::kBarrierRequest, next_xid_++);
  }
  sync.last_xid = next_xid_ - 1;
  if (sync.open_commits.empty() && sync.barrier_xid == 0) FinishSync(now);
}

void Session::SendMeters(const Difference& difference, bool before_flows) {
  const auto send = [&](const std::vector<pipeline::Meter>& meters, MeterCommand command) {
    for (const pipeline::Meter& meter : meters) {
      WriteMeterMod(&out_, next_xid_++, command, meter);
      ++counters_->messages_sent;
    }
  };
  if (before_flows) {
    send(difference.meters_add, MeterCommand::kAdd);
    send(difference.meters_modify, MeterCommand::kModify);
  } else {
    send(difference.meters_remove, MeterCommand::kDelete);
  }
}

void Session::SendFlows(const Difference& difference, Sync* sync) {
  const size_t total = difference.add.size() + difference.remove.size();
  const size_t chunk = std::max<size_t>(options_.bundle_max_flows, 1);
  for (size_t start = 0; start < total; start += chunk) {
    const uint32_t bundle_id = next_xid_;
    WriteBundleControl(&out_, next_xid_++, bundle_id, BundleControl::kOpenRequest);
    const size_t end = std::min(total, start + chunk);
    for (size_t i = start; i < end; ++i) {
      const size_t added = difference.add.size();
      if (i < added) {
        WriteBundleAdd(&out_, next_xid_++, bundle_id, difference.add[i]->add);
      } else {
        WriteBundleAdd(&out_, next_xid_++, bundle_id, difference.remove[i - added]->MakeDelete());
      }
    }
    sync->open_commits.push_back(next_xid_);
    WriteBundleControl(&out_, next_xid_++, bundle_id, BundleControl::kCommitRequest);
    counters_->messages_sent += end - start + 2;
    counters_->flow_mods_sent += end - start;
    ++counters_->bundles_sent;
  }
}

bool Session::OnSyncReply(uint32_t xid, MonoTime now) {
  if (!sync_ || xid < sync_->first_xid || xid > sync_->last_xid) return false;
  std::erase(sync_->open_commits, xid);
  if (xid == sync_->barrier_xid) sync_->barrier_xid = 0;
  if (sync_->open_commits.empty() && sync_->barrier_xid == 0) FinishSync(now);
  return true;
}

bool Session::OnSyncError(uint32_t xid, const ErrorMessage& error, MonoTime now) {
  if (!sync_ || xid < sync_->first_xid || xid > sync_->last_xid) return false;
  if (sync_->error.empty()) sync_->error = error.text;
  return OnSyncReply(xid, now);
}

void Session::FinishSync(MonoTime now) {
  Sync sync = std::move(*sync_);
  sync_.reset();
  if (!sync.error.empty()) return ResyncAfter(sync.error, now);
  installed_ = sync.target->flows;
  for (const auto& [id, meter] : sync.target->meters) installed_meters_[id] = meter;
  std::erase_if(installed_meters_, [&](const auto& entry) {
    const bool of_layout = entry.first == pipeline::kDemandMeter || entry.first == pipeline::kOtherMeter;
    return of_layout && !sync.target->meters.contains(entry.first);
  });
  state_ = State::kSynced;
  synced_since_refused_ = true;
  DYN_LOG(kInfo, "switch", "synced", "dpid={:#x} kept={} added={} deleted={}", dpid_.value(),
          sync.report.kept, sync.report.added, sync.report.deleted);
  listener_->OnSynced(dpid_, sync.report);
}

void Session::ResyncAfter(const std::string& error, MonoTime now) {
  if (closed()) return;
  last_error_ = error;
  if (now >= last_resync_ + kResyncMemory && (refused_wait_.count() == 0 || synced_since_refused_)) {
    resyncs_in_row_ = 0;
    refused_wait_ = std::chrono::seconds{0};
  }
  last_resync_ = now;
  if (want_find_ || (dump_ && dump_->kind == DumpKind::kFind)) return;  // already on the way
  if (resyncs_in_row_ >= kMaxResyncs) {
    if (!sync_) state_ = State::kRefused;
    if (retry_at_) return;
    refused_wait_ = std::clamp(2 * refused_wait_, kRefusedWait, kMaxRefusedWait);
    retry_at_ = now + refused_wait_;
    synced_since_refused_ = false;
    DYN_WARN("DC-OF-013", "switch", "refused", "dpid={:#x} resyncs={} error={} again_in_s={}", dpid_.value(),
             resyncs_in_row_, error, refused_wait_.count());
    return;
  }
  ++resyncs_in_row_;
  ++counters_->resyncs;
  DYN_WARN("DC-OF-006", "switch", "resync", "dpid={:#x} after={} in_row={}", dpid_.value(), error,
           resyncs_in_row_);
  want_find_ = true;
}

}  // namespace dyncast::openflow
