// The session's dumps: of everything of ours (to sync, to check), or of the binding table (to count).
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ovs-integration/openflow/found.h"
#include "ovs-integration/openflow/oxm.h"
#include "ovs-integration/openflow/session.h"
#include "schema/base/log.h"

namespace dyncast::openflow {
namespace {

constexpr uint16_t kMultipartFlow = 1;
constexpr uint16_t kMultipartGroupDesc = 7;
constexpr uint16_t kMultipartMeterConfig = 10;
constexpr uint16_t kMultipartFlowMonitor = 16;
constexpr uint16_t kMore = 1;

}  // namespace

void Session::StartDump(DumpKind kind, uint64_t request, MonoTime now) {
  WrapXid(&next_xid_);
  Dump& dump = dump_.emplace();
  dump.kind = kind;
  dump.request = request;
  dump.sent = now;
  dump.flow_xid = next_xid_;
  const bool count = kind == DumpKind::kCount;
  // A count's `request` says the scope.
  const bool timed = count && static_cast<CountScope>(request) == CountScope::kTimed;
  const std::vector<uint8_t> tables =
      timed ? std::vector<uint8_t>{TableOf(BindingPlace::kTimed), TableOf(BindingPlace::kHeaderTimed)}
            : std::vector<uint8_t>{kAllTables};
  dump.flow_requests = static_cast<uint32_t>(tables.size());
  for (const uint8_t table : tables) {
    WriteFlowStatsRequest(&out_, next_xid_++, table, count ? FlowScope::kBindings : FlowScope::kOurs);
    ++counters_->messages_sent;
  }
  dump.meters_done = count;
  dump.groups_done = count;
  if (count) {
    dump.unbound_xid = next_xid_;
    for (const pipeline::Table table : kCountedTables) {
      WriteFlowStatsRequest(&out_, next_xid_++, static_cast<uint8_t>(table), FlowScope::kUnbound);
      ++counters_->messages_sent;
    }
  }
  if (!count) {
    dump.meter_xid = next_xid_++;
    WriteMeterConfigRequest(&out_, dump.meter_xid);
    dump.group_xid = next_xid_++;
    WriteGroupDescRequest(&out_, dump.group_xid);
    counters_->messages_sent += 2;
    if (WantsOptions()) {
      dump.options_done = false;
      dump.options_xid = next_xid_++;
      WriteOptionTableRequest(&out_, dump.options_xid);
      ++counters_->messages_sent;
    }
  }
  if (kind == DumpKind::kFind) {
    want_find_ = false;
    retry_at_.reset();
    state_ = State::kDumping;
  }
}

void Session::StartWaitingDump(MonoTime now) {
  if (dump_ || sync_ || options_asked_) return;
  if (want_find_) return StartDump(DumpKind::kFind, 0, now);
  if (!found_once_) return;
  if (!want_checks_.empty()) {
    const uint64_t request = want_checks_.front();
    want_checks_.pop_front();
    return StartDump(DumpKind::kCheck, request, now);
  }
  if (want_count_) {
    const auto scope = static_cast<uint64_t>(*std::exchange(want_count_, std::nullopt));
    StartDump(DumpKind::kCount, scope, now);
  }
}

void Session::Check(uint64_t request) {
  if (closed()) return;
  if (want_checks_.size() >= kMaxChecks) {
    DYN_WARN("DC-OF-005", "switch", "check-dropped", "dpid={:#x} waiting={}", dpid_.value(),
             want_checks_.size());
    refused_checks_.push_back(request);
    return;
  }
  want_checks_.push_back(request);
}

void Session::AnswerRefusedChecks() {
  for (const uint64_t request : std::exchange(refused_checks_, {})) {
    const SyncReport report{.deleted = 1, .differences = {"too many checks wait"}};
    listener_->OnChecked(dpid_, request, report, {});
  }
}

void Session::AbandonCheck() {
  abandoned_flow_xids_.push_back(dump_->flow_xid);
  if (abandoned_flow_xids_.size() > kMaxAbandonedChecks) abandoned_flow_xids_.pop_front();
  ++abandoned_in_row_;
  want_checks_.push_front(dump_->request);
  dump_.reset();
}

void Session::Resync() {
  if (!closed()) want_find_ = true;
}

void Session::OnMultipart(ByteView message) {
  if (message.size() < 16) {
    return Malformed(
        MakeError(Errc::kProtocol, fmt::format("a multipart reply of {} octets", message.size())));
  }
  const uint32_t xid = MessageXid(message);
  const uint16_t type = Get16(message.data() + 8);
  if (type == kMultipartFlowMonitor) return OnFlowUpdates(message);
  const bool more = (Get16(message.data() + 10) & kMore) != 0;
  if (OnPortReply(xid, type, more, message) || !dump_) return;
  const uint32_t counted = xid - dump_->unbound_xid;
  const bool unbound = dump_->kind == DumpKind::kCount && counted < dump_->unbound_done.size();
  const bool flows = dump_->IsOfFlows(xid);
  const bool ours = unbound || flows || xid == dump_->meter_xid || xid == dump_->group_xid;
  if (!ours) return;
  Status read = Ok();
  bool* done = nullptr;
  uint16_t wanted = 0;
  if (flows) {
    wanted = kMultipartFlow;
    if (type == wanted) read = ReadFlowStats(message, &dump_->found);
  } else if (unbound) {
    wanted = kMultipartFlow;
    done = &dump_->unbound_done[counted];
    if (type == wanted) read = ReadUnbound(message, &dump_->unbound);
  } else if (xid == dump_->meter_xid) {
    wanted = kMultipartMeterConfig;
    done = &dump_->meters_done;
    if (type == wanted) read = ReadMeterConfigs(message, &dump_->meters);
  } else {
    wanted = kMultipartGroupDesc;
    done = &dump_->groups_done;
    if (type == wanted) read = GroupCodec::Get().Read(message, &dump_->groups);
  }
  if (type != wanted) {
    ++counters_->malformed_received;
    return Close(fmt::format("protocol error: a multipart reply of type {} to a dump", type));
  }
  if (!read) {
    // Going on would take flows that were not read for missing ones.
    ++counters_->malformed_received;
    return Close("protocol error: " + read.error().message);
  }
  dump_->sent = now_;  // it answers
  if (!more && flows) dump_->flows_answered |= 1u << (xid - dump_->flow_xid);
  if (!more && !flows) *done = true;
  if (dump_->kind == DumpKind::kCount) {
    std::vector<FoundBinding> bindings = std::exchange(dump_->found.bindings, {});
    dump_->found.images.clear();
    const bool all =
        std::all_of(dump_->unbound_done.begin(), dump_->unbound_done.end(), [](bool d) { return d; });
    std::vector<UnboundPackets> packets;
    if (unbound && all) packets = std::move(dump_->unbound);
    if (dump_->flows_done() && all) dump_.reset();
    if (unbound && all) listener_->OnUnboundCounted(dpid_, std::move(packets));
    if (!unbound) listener_->OnCounted(dpid_, std::move(bindings));
    return;
  }
  MaybeFinishDump();
}

void Session::MaybeFinishDump() {
  if (dump_->flows_done() && dump_->meters_done && dump_->groups_done && dump_->options_done) FinishDump();
}

// What the switch holds now: the dump, corrected by what was sent or heard since the request.
std::vector<FoundBinding> Session::TakeBindings(Dump* dump) const {
  std::vector<FoundBinding> bindings = std::move(dump->found.bindings);
  const auto contains = [](const auto& list, const auto& element) {
    return std::find(list.begin(), list.end(), element) != list.end();
  };
  std::erase_if(bindings, [&](const FoundBinding& b) {
    if (const auto it = dump->changed.find({b.key, b.place}); it != dump->changed.end()) {
      if (!it->second || it->second->instance != b.instance) return true;
      it->second.reset();  // the same: the dump knows its counters
      return false;
    }
    return contains(dump->removed_of, std::pair(b.key.service, b.instance)) ||
           contains(dump->removed_at, std::pair(b.key.service, b.place));
  });
  for (const auto& [key, binding] : dump->changed) {
    if (binding) bindings.push_back(*binding);
  }
  return bindings;
}

void Session::FinishDump() {
  Dump dump = std::move(*dump_);
  dump_.reset();
  Installed installed;
  for (FlowImage& image : dump.found.images) {
    auto shared = std::make_shared<const FlowImage>(std::move(image));
    installed.flows[shared->Key()] = std::move(shared);
  }
  for (const pipeline::Meter& meter : dump.meters) installed.meters[meter.id] = meter;
  installed.groups = std::move(dump.groups);
  installed.options = std::move(dump.options);
  std::vector<FoundBinding> bindings = TakeBindings(&dump);
  if (dump.kind == DumpKind::kCheck) {
    abandoned_in_row_ = 0;
    const Desired nothing;
    SyncReport report = Compare(desired_ ? *desired_ : nothing, installed).report;
    listener_->OnChecked(dpid_, dump.request, report, std::move(bindings));
    return;
  }
  installed_ = std::move(installed);
  learning_.insert(dump.found.learning.begin(), dump.found.learning.end());
  state_ = State::kFound;
  if (!found_once_) found_at_ = now_;
  found_once_ = true;
  desired_changed_ = desired_ != nullptr;
  listener_->OnFound(dpid_, {.bindings = std::move(bindings),
                             .dispatch = FindDispatch(installed_.flows, installed_.groups),
                             .empty = IsEmpty(installed_.flows)});
}

}  // namespace dyncast::openflow
