// The session's dumps: of everything of ours (to sync, to check), or of the binding table (to count).
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ovs-integration/openflow/session.h"
#include "schema/base/log.h"

namespace dyncast::openflow {
namespace {

constexpr uint16_t kMultipartFlow = 1;
constexpr uint16_t kMultipartMeterConfig = 10;
constexpr uint16_t kMore = 1;
constexpr uint8_t kAllTables = 0xff;

}  // namespace

void Session::StartDump(DumpKind kind, uint64_t request, MonoTime now) {
  WrapXid(&next_xid_);
  Dump& dump = dump_.emplace();
  dump.kind = kind;
  dump.request = request;
  dump.sent = now;
  dump.flow_xid = next_xid_++;
  const bool only_bindings = kind == DumpKind::kCount;
  WriteFlowStatsRequest(&out_, dump.flow_xid,
                        only_bindings ? static_cast<uint8_t>(pipeline::Table::kBinding) : kAllTables);
  ++counters_->messages_sent;
  dump.meters_done = only_bindings;
  if (!only_bindings) {
    dump.meter_xid = next_xid_++;
    WriteMeterConfigRequest(&out_, dump.meter_xid);
    ++counters_->messages_sent;
  }
  if (kind == DumpKind::kFind) {
    want_find_ = false;
    retry_at_.reset();
    state_ = State::kDumping;
  }
}

void Session::StartWaitingDump(MonoTime now) {
  if (dump_ || sync_) return;
  if (want_find_) return StartDump(DumpKind::kFind, 0, now);
  if (!found_once_) return;
  if (!want_checks_.empty()) {
    const uint64_t request = want_checks_.front();
    want_checks_.pop_front();
    return StartDump(DumpKind::kCheck, request, now);
  }
  if (want_count_) {
    want_count_ = false;
    StartDump(DumpKind::kCount, 0, now);
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
  if (!dump_ || (xid != dump_->flow_xid && xid != dump_->meter_xid)) return;
  const uint16_t type = Get16(message.data() + 8);
  const bool more = (Get16(message.data() + 10) & kMore) != 0;
  const bool flows = xid == dump_->flow_xid;
  if (type != (flows ? kMultipartFlow : kMultipartMeterConfig)) {
    ++counters_->malformed_received;
    return Close(fmt::format("protocol error: a multipart reply of type {} to a dump", type));
  }
  const Status read =
      flows ? ReadFlowStats(message, &dump_->found) : ReadMeterConfigs(message, &dump_->meters);
  if (!read) {
    // Going on would take flows that were not read for missing ones.
    ++counters_->malformed_received;
    return Close("protocol error: " + read.error().message);
  }
  if (!more) (flows ? dump_->flows_done : dump_->meters_done) = true;
  if (dump_->kind == DumpKind::kCount) {
    std::vector<FoundBinding> bindings = std::exchange(dump_->found.bindings, {});
    dump_->found.images.clear();
    if (dump_->flows_done) dump_.reset();
    listener_->OnCounted(dpid_, std::move(bindings));
    return;
  }
  if (dump_->flows_done && dump_->meters_done) FinishDump();
}

// What the switch holds now: the dump, corrected by what was sent or heard since the request.
std::vector<FoundBinding> Session::TakeBindings(Dump* dump) const {
  std::vector<FoundBinding> bindings = std::move(dump->found.bindings);
  std::erase_if(bindings, [&](const FoundBinding& b) {
    const auto gone = std::pair(b.key.service, b.instance);
    return dump->changed.contains(b.key) ||
           std::find(dump->removed_of.begin(), dump->removed_of.end(), gone) != dump->removed_of.end();
  });
  for (const auto& [key, flow] : dump->changed) {
    if (!flow) continue;
    bindings.push_back({.key = key, .instance = flow->instance, .idle_timeout = flow->idle_timeout});
  }
  return bindings;
}

void Session::FinishDump() {
  Dump dump = std::move(*dump_);
  dump_.reset();
  Images images;
  for (FlowImage& image : dump.found.images) {
    auto shared = std::make_shared<const FlowImage>(std::move(image));
    images[shared->Key()] = std::move(shared);
  }
  Meters meters;
  for (const pipeline::Meter& meter : dump.meters) meters[meter.id] = meter;
  std::vector<FoundBinding> bindings = TakeBindings(&dump);
  if (dump.kind == DumpKind::kCheck) {
    abandoned_in_row_ = 0;
    const Desired nothing;
    SyncReport report = Compare(desired_ ? *desired_ : nothing, images, meters).report;
    listener_->OnChecked(dpid_, dump.request, report, std::move(bindings));
    return;
  }
  installed_ = std::move(images);
  installed_meters_ = std::move(meters);
  state_ = State::kFound;
  if (!found_once_) found_at_ = now_;
  found_once_ = true;
  desired_changed_ = desired_ != nullptr;
  listener_->OnFound(dpid_, std::move(bindings));
}

}  // namespace dyncast::openflow
