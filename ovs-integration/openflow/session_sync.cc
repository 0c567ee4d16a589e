// The session's syncs: the difference to what is wanted, in bundles, confirmed before the next one.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ovs-integration/openflow/session.h"
#include "schema/base/log.h"

namespace dyncast::openflow {
namespace {

bool LooksElsewhere(const Desired& desired, const Installed& installed) {
  return std::any_of(desired.flows.begin(), desired.flows.end(), [&](const auto& entry) {
    if (entry.second->table() != static_cast<uint8_t>(pipeline::Table::kLookup)) return false;
    const auto have = installed.flows.find(entry.first);
    return have != installed.flows.end() && !have->second->SameBody(*entry.second);
  });
}

}  // namespace

void Session::SetDesired(std::shared_ptr<const Desired> desired) {
  if (closed()) return;
  desired_ = std::move(desired);
  desired_changed_ = true;
  desired_at_ = now_;
  lookup_changed_ = LooksElsewhere(*desired_, installed_);
  for (const auto& [id, group] : desired_->groups) {
    if (const auto service = ServiceOfGroup(id)) learning_.insert(*service);
  }
  for (const auto& [key, image] : desired_->flows) {
    if (image->table() != static_cast<uint8_t>(pipeline::Table::kLearn)) continue;
    if (const auto cookie = pipeline::DecodeCookie(image->cookie())) learning_.insert(cookie->service);
  }
  // What was refused may have gone; what the switch holds must be read again first.
  if (state_ == State::kRefused && retry_at_) retry_at_ = std::min(*retry_at_, now_ + kNewPlanWait);
}

// With the dump if the plan was known by then, else as soon as it is.
void Session::AskForOptions(MonoTime now) {
  WrapXid(&next_xid_);
  options_asked_ = {.xid = next_xid_, .sent = now};
  WriteOptionTableRequest(&out_, next_xid_++);
  ++counters_->messages_sent;
}

void Session::OnOptionTable(ByteView message) {
  Result<TunnelOptions> options = ReadOptionTableReply(message);
  if (options) return TakeOptions(MessageXid(message), {.options = std::move(*options), .refusal = {}});
  ++counters_->malformed_received;
  Close("protocol error: " + options.error().message);
}

bool Session::OnOptionsError(uint32_t xid, const ErrorMessage& error) {
  const bool ours = (options_asked_ && xid == options_asked_->xid) ||
                    (dump_ && !dump_->options_done && xid == dump_->options_xid);
  if (ours) TakeOptions(xid, {.options = {}, .refusal = error.text});
  return ours;
}

void Session::TakeOptions(uint32_t xid, OptionTable table) {
  if (options_asked_ && xid == options_asked_->xid) {
    options_asked_.reset();
    installed_.options = std::move(table);
  } else if (dump_ && !dump_->options_done && xid == dump_->options_xid) {
    dump_->options = std::move(table);
    dump_->options_done = true;
    dump_->sent = now_;
    MaybeFinishDump();
  }
}

bool Session::SyncDue() const {
  if (!desired_changed_ || sync_ || want_find_ || options_asked_) return false;
  if (WaitsForBindings()) return false;
  // A dump must see one state: the plan waits for it, or a check starts again after the plan, which is more
  // urgent. Plans that never end do not keep a check from its answer.
  if (dump_ && dump_->kind == DumpKind::kFind) return false;
  if (dump_ && dump_->kind == DumpKind::kCheck && abandoned_in_row_ >= kMaxAbandonedChecks) return false;
  return state_ == State::kFound || state_ == State::kSynced;
}

bool Session::WaitsForBindings() const {
  return found_once_ && desired_changed_ && lookup_changed_ && bindings_.queued() > 0 &&
         now_ < desired_at_ + kMoveWait;
}

void Session::StartSync(MonoTime now) {
  if (dump_ && dump_->kind == DumpKind::kCheck) AbandonCheck();
  if (WantsOptions() && !installed_.options) return AskForOptions(now);
  Sync& sync = sync_.emplace();
  sync.difference = Compare(*desired_, installed_);
  sync.target = desired_;
  desired_changed_ = false;
  synced_once_ = true;
  state_ = State::kSyncing;
  if (!sync.difference.refusal.empty()) {
    // Half of a plan would serve nobody.
    sync.error = fmt::format("switch {:#x} cannot have the plan: {}", dpid_.value(), sync.difference.refusal);
  } else {
    SendOptions();
    // A flow may name a meter: meters come first, and go last.
    SendMeters(true);
  }
  SendMore(now);
}

bool Session::MaySendMore() const {
  return sync_ && !sync_->all_sent && (out_.size() < kSyncWindowOctets || !sync_->error.empty());
}

void Session::SendMore(MonoTime now) {
  Sync& sync = *sync_;
  sync.sent = now;
  const size_t total = sync.difference.changes.size();
  if (!sync.error.empty()) {
    sync.all_sent = true;  // a dump will tell what there is; what follows would rest on what failed
  } else {
    while (sync.next < total && MaySendMore()) SendBundle();
    if (sync.next == total) {
      SendMeters(false);
      const Difference& d = sync.difference;
      if (!d.options_add.empty() || !d.meters_add.empty() || !d.meters_modify.empty() ||
          !d.meters_remove.empty()) {
        // A commit's answer confirms flows and groups, but not meters and options.
        sync.parts.push_back({.first_xid = next_xid_, .last_xid = next_xid_, .open = true});
        Send(MsgType::kBarrierRequest, next_xid_++);
      }
      sync.all_sent = true;
    }
  }
  MaybeFinishSync(now);
}

void Session::SendOptions() {
  const std::vector<pipeline::TunnelOption>& options = sync_->difference.options_add;
  if (options.empty()) return;
  WrapXid(&next_xid_);
  sync_->parts.push_back({.first_xid = next_xid_, .last_xid = next_xid_, .options = true});
  WriteOptionTableAdd(&out_, next_xid_++, options);
  ++counters_->messages_sent;
}

void Session::SendMeters(bool before_flows) {
  const Difference& difference = sync_->difference;
  WrapXid(&next_xid_);
  const uint32_t first = next_xid_;
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
  if (next_xid_ != first) sync_->parts.push_back({.first_xid = first, .last_xid = next_xid_ - 1});
}

void Session::SendBundle() {
  Sync& sync = *sync_;
  WrapXid(&next_xid_);
  const uint32_t bundle_id = next_xid_;
  Sync::Part part{.first_xid = bundle_id, .first = sync.next, .bundle = true, .open = true};
  WriteBundleControl(&out_, next_xid_++, bundle_id, BundleControl::kOpenRequest);
  const size_t most = std::max<size_t>(options_.bundle_max_flows, 1);
  size_t octets = 0;
  while (sync.next < sync.difference.changes.size() && sync.next - part.first < most) {
    const Change& change = sync.difference.changes[sync.next];
    octets += change.Size();
    if (sync.next > part.first && octets > kMaxBundleOctets) break;
    const uint32_t xid = next_xid_++;
    switch (change.kind) {
      case ChangeKind::kGroupAdd:
        GroupCodec::Get().WriteBundled(&out_, xid, bundle_id, GroupCommand::kAdd, change.group);
        break;
      case ChangeKind::kGroupModify:
        GroupCodec::Get().WriteBundled(&out_, xid, bundle_id, GroupCommand::kModify, change.group);
        break;
      case ChangeKind::kFlowAdd: WriteBundleAdd(&out_, xid, bundle_id, change.flow->add); break;
      case ChangeKind::kFlowRemove: WriteBundleAdd(&out_, xid, bundle_id, change.flow->MakeDelete()); break;
      case ChangeKind::kGroupRemove:
        GroupCodec::Get().WriteBundled(&out_, xid, bundle_id, GroupCommand::kDelete, change.group);
        break;
    }
    if (change.flow != nullptr) ++counters_->flow_mods_sent;
    ++sync.next;
  }
  part.last_xid = next_xid_++;
  WriteBundleControl(&out_, part.last_xid, bundle_id, BundleControl::kCommitRequest);
  counters_->messages_sent += sync.next - part.first + 2;
  ++counters_->bundles_sent;
  sync.parts.push_back(part);
}

Sync::Part* Session::FindPart(uint32_t xid) {
  if (!sync_) return nullptr;
  for (Sync::Part& part : sync_->parts) {
    if (xid >= part.first_xid && xid <= part.last_xid) return &part;
  }
  return nullptr;
}

bool Session::OnSyncReply(uint32_t xid, MonoTime now) {
  Sync::Part* part = FindPart(xid);
  if (part == nullptr) return false;
  if (xid == part->last_xid) {
    part->open = false;
    sync_->sent = now;
  }
  MaybeFinishSync(now);
  return true;
}

bool Session::OnSyncError(uint32_t xid, const ErrorMessage& error, MonoTime now) {
  Sync::Part* part = FindPart(xid);
  if (part == nullptr) return false;
  if (sync_->error.empty()) {
    const bool of_change = part->bundle && xid > part->first_xid && xid < part->last_xid;
    const std::string what =
        of_change ? sync_->difference.changes[part->first + (xid - part->first_xid - 1)].ToString()
                  : std::string(part->bundle    ? "a bundle"
                                : part->options ? "a tunnel option"
                                                : "a meter");
    sync_->error = fmt::format("switch {:#x} refuses {}: {}", dpid_.value(), what, error.text);
  }
  return OnSyncReply(xid, now);
}

void Session::MaybeFinishSync(MonoTime now) {
  const bool open =
      std::any_of(sync_->parts.begin(), sync_->parts.end(), [](const Sync::Part& p) { return p.open; });
  if (sync_->all_sent && !open) FinishSync(now);
}

void Session::FinishSync(MonoTime now) {
  Sync sync = std::move(*sync_);
  sync_.reset();
  if (!sync.error.empty()) return ResyncAfter(sync.error, now);
  installed_.flows = sync.target->flows;
  if (installed_.options) {
    for (const auto& option : sync.difference.options_add) installed_.options->options[option.field] = option;
  }
  for (const auto& [id, meter] : sync.target->meters) installed_.meters[id] = meter;
  std::erase_if(installed_.meters, [&](const auto& entry) {
    return pipeline::IsOurMeter(entry.first) && !sync.target->meters.contains(entry.first);
  });
  for (const Change& change : sync.difference.changes) {
    if (change.kind == ChangeKind::kGroupRemove) installed_.groups.erase(change.group.id);
  }
  for (const auto& [id, group] : sync.target->groups) installed_.groups[id] = group;
  const SyncReport& report = sync.difference.report;
  state_ = State::kSynced;
  synced_since_refused_ = true;
  DYN_LOG(kInfo, "switch", "synced", "dpid={:#x} kept={} added={} deleted={}", dpid_.value(), report.kept,
          report.added, report.deleted);
  listener_->OnSynced(dpid_, report);
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
