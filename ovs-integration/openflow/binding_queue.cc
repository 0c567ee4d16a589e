#include "ovs-integration/openflow/binding_queue.h"

#include <algorithm>
#include <utility>

namespace dyncast::openflow {
namespace {

constexpr uint32_t kMaxBundledAttempts = 2;
// With 1 ms ticks bundles begin to spread at 8,000 bindings a second, and are soon 10 ms apart.
constexpr size_t kOpsPerTick = 4;
constexpr size_t kMostTicks = 10;
constexpr size_t kMaxSuperseded = 1024;  // beside as many as there are live ones

}  // namespace

BindingQueue::BindingQueue(Micros tick, uint32_t bundle_max_flows)
    : tick_(tick), bundle_max_flows_(std::max(bundle_max_flows, 1u)), spacing_(tick) {}

void BindingQueue::Push(Op op, MonoTime now) {
  op.sequence = next_sequence_++;
  if (live_ == 0) {
    queued_.clear();
    // The first after a quiet tick leaves at once: a handshake's next packet then meets its flow. Others
    // wait, so that there is at most one bundle a tick however many demands come.
    due_ = std::max(now, last_flush_ + spacing_);
  }
  const auto [it, fresh] = latest_.try_emplace(op.flow.key, op.sequence);
  if (!fresh) {
    if (!queued_.empty() && it->second >= queued_.front().sequence) {
      Op& older = queued_[it->second - queued_.front().sequence];
      if (!older.cancelled) --live_;
      older.cancelled = true;
    }
    it->second = op.sequence;
  }
  queued_.push_back(std::move(op));
  ++live_;
  if (queued_.size() > 2 * live_ + kMaxSuperseded) Compact();
}

void BindingQueue::Compact() {
  std::erase_if(queued_, [](const Op& op) { return op.cancelled; });
  // Numbered anew up to the last one given out: without gaps, and still behind all that is in flight.
  uint64_t sequence = next_sequence_ - queued_.size();
  for (Op& op : queued_) {
    op.sequence = sequence++;
    latest_[op.flow.key] = op.sequence;  // what is queued and not cancelled is the last of its key
  }
}

void BindingQueue::Install(const BindingFlow& flow, BindingEncoder::Form form, MonoTime now) {
  Op op{.flow = flow};
  op.form = form;
  Push(std::move(op), now);
}

void BindingQueue::Remove(const BindingKey& key, MonoTime now, uint8_t client_bits) {
  Op op{.flow = {.key = key, .instance = {}, .client_bits = client_bits}};
  op.remove = true;
  Push(std::move(op), now);
}

void BindingQueue::CancelOf(ServiceId service, InstanceId instance) {
  const auto matches = [&](const Op& op) {
    return !op.remove && !op.cancelled && op.flow.instance == instance && op.flow.key.service == service;
  };
  // Not merely dropped: the switch may hold an older binding of the key, with another instance.
  for (Op& op : queued_) {
    if (matches(op)) op.remove = true;
  }
  for (Batch& batch : in_flight_) {
    for (Op& op : batch.ops) {
      if (matches(op)) op.remove = true;
    }
  }
}

void BindingQueue::CancelAt(ServiceId service, BindingPlace place) {
  const auto matches = [&](const Op& op) {
    return !op.remove && !op.cancelled && op.flow.place == place && op.flow.key.service == service;
  };
  for (Op& op : queued_) {
    if (!matches(op)) continue;
    op.cancelled = true;
    --live_;
    Forget(op);
  }
  for (Batch& batch : in_flight_) {
    for (Op& op : batch.ops) op.cancelled = op.cancelled || matches(op);
  }
}

size_t BindingQueue::Write(const Op& op, bool bundled, uint32_t xid, uint32_t bundle_id, OutBuffer* out) {
  using Form = BindingEncoder::Form;
  const auto remove = [&](Form form) {
    return bundled ? encoder_.WriteBundledDelete(out, xid, bundle_id, op.flow, form)
                   : encoder_.WriteDelete(out, xid, op.flow, form);
  };
  // Several messages of one operation bear one transaction id.
  const auto add = [&] {
    return bundled ? encoder_.WriteBundledAdd(out, xid, bundle_id, op.flow, op.form)
                   : encoder_.WriteAdd(out, xid, op.flow, op.form);
  };
  if (!(op.remove ? remove(Form::kLearned) : add())) return 0;
  size_t written = 1;
  if (op.remove && remove(Form::kHeader)) ++written;
  // A flow that was pushed in the other form would match as well as the one that the switch knows.
  const bool other_form = op.remove || op.form == Form::kLearned;
  if (other_form && BindingEncoder::FormsDiffer(op.flow.key) && remove(Form::kPushed)) ++written;
  return written;
}

void BindingQueue::Flush(const SendContext& context) {
  while (live_ > 0 && FlushDue() <= context.now) {
    last_flush_ = context.now;
    std::vector<Op> ops;
    ops.reserve(std::min<size_t>(live_, bundle_max_flows_));
    while (!queued_.empty() && ops.size() < bundle_max_flows_) {
      if (!queued_.front().cancelled) {
        ops.push_back(std::move(queued_.front()));
        --live_;
      }
      queued_.pop_front();
    }
    spacing_ = tick_ * static_cast<Micros::rep>(std::clamp<size_t>(ops.size() / kOpsPerTick, 1, kMostTicks));
    Send(std::move(ops), 0, true, context);
  }
}

void BindingQueue::Send(std::vector<Op> ops, uint32_t attempt, bool bundled, const SendContext& context) {
  WrapXid(context.next_xid);
  Batch batch;
  batch.bundled = bundled;
  batch.attempt = attempt;
  batch.sent = context.now;
  const uint32_t bundle_id = *context.next_xid;
  batch.first_xid = *context.next_xid;
  if (bundled) {
    WriteBundleControl(context.out, (*context.next_xid)++, bundle_id, BundleControl::kOpenRequest);
    ++context.counters->messages_sent;
    ++context.counters->bundles_sent;
  }
  batch.first_op_xid = *context.next_xid;
  batch.ops.reserve(ops.size());
  for (Op& op : ops) {
    const uint32_t xid = *context.next_xid;
    const size_t written = Write(op, bundled, xid, bundle_id, context.out);
    if (written == 0) {
      unencodable_.push_back({op.flow.key, "the flow cannot be expressed in OpenFlow"});
      Forget(op);
      continue;
    }
    if (op.announced != op.remove) (*context.sent)(op.flow.key, op.remove ? nullptr : &op.flow);
    op.announced = op.remove;
    ++*context.next_xid;
    context.counters->messages_sent += written;
    context.counters->flow_mods_sent += written;
    batch.ops.push_back(std::move(op));
  }
  batch.last_xid = (*context.next_xid)++;
  if (bundled) {
    WriteBundleControl(context.out, batch.last_xid, bundle_id, BundleControl::kCommitRequest);
  } else {
    context.out->Message(MsgType::kBarrierRequest, batch.last_xid, kHeaderSize);
  }
  ++context.counters->messages_sent;
  in_flight_.push_back(std::move(batch));
}

void BindingQueue::Forget(const Op& op) {
  const auto it = latest_.find(op.flow.key);
  if (it != latest_.end() && it->second == op.sequence) latest_.erase(it);
}

void BindingQueue::Finish(const Batch& batch, std::vector<Refused>* refused) {
  for (const auto& [index, why] : batch.failures) {
    if (!batch.ops[index].remove) refused->push_back({batch.ops[index].flow.key, why});
  }
  for (const Op& op : batch.ops) Forget(op);
}

void BindingQueue::Retry(Batch batch, const SendContext& context, std::vector<Refused>* refused) {
  if (batch.open_failed) batch.failures.clear();  // the flows only fell with their bundle
  const bool named = !batch.failures.empty();
  for (const auto& [index, why] : batch.failures) {
    Op& op = batch.ops[index];
    if (op.remove || op.cancelled) continue;
    refused->push_back({op.flow.key, why});
    op.cancelled = true;
  }
  std::vector<Op> again;
  for (Op& op : batch.ops) {
    const auto it = latest_.find(op.flow.key);
    const bool superseded = it != latest_.end() && it->second != op.sequence;
    if (op.cancelled || superseded) {
      Forget(op);
    } else {
      again.push_back(std::move(op));
    }
  }
  if (again.empty()) return;
  const uint32_t attempt = batch.attempt + 1;
  Send(std::move(again), attempt, named && attempt < kMaxBundledAttempts, context);
}

bool BindingQueue::OnError(uint32_t xid, const ErrorMessage& error, const SendContext& context,
                           std::vector<Refused>* refused) {
  const auto it = std::find_if(in_flight_.begin(), in_flight_.end(),
                               [&](const Batch& b) { return xid >= b.first_xid && xid <= b.last_xid; });
  if (it == in_flight_.end()) return false;
  if (xid != it->last_xid) {
    if (xid < it->first_op_xid) {
      it->open_failed = true;
    } else {
      const size_t index = xid - it->first_op_xid;
      const bool known = std::any_of(it->failures.begin(), it->failures.end(),
                                     [&](const auto& failure) { return failure.first == index; });
      if (!known && index < it->ops.size()) it->failures.emplace_back(index, error.text);
    }
    return true;
  }
  Batch batch = std::move(*it);
  in_flight_.erase(it);
  if (batch.bundled) {
    Retry(std::move(batch), context, refused);
  } else {
    Finish(batch, refused);
  }
  return true;
}

bool BindingQueue::OnCommitted(uint32_t xid, std::vector<Refused>* refused) {
  const auto it = std::find_if(in_flight_.begin(), in_flight_.end(),
                               [&](const Batch& b) { return b.bundled && b.last_xid == xid; });
  if (it == in_flight_.end()) return false;
  Finish(*it, refused);
  in_flight_.erase(it);
  return true;
}

bool BindingQueue::OnBarrier(uint32_t xid, std::vector<Refused>* refused) {
  const auto it = std::find_if(in_flight_.begin(), in_flight_.end(),
                               [&](const Batch& b) { return !b.bundled && b.last_xid == xid; });
  if (it == in_flight_.end()) return false;
  Finish(*it, refused);
  in_flight_.erase(it);
  return true;
}

std::vector<BindingQueue::Refused> BindingQueue::TakeUnencodable() { return std::exchange(unencodable_, {}); }

bool BindingQueue::InstallPending(const BindingKey& key) const {
  const auto it = latest_.find(key);
  if (it == latest_.end()) return false;
  if (!queued_.empty() && it->second >= queued_.front().sequence) {
    return !queued_[it->second - queued_.front().sequence].remove;
  }
  for (const Batch& batch : in_flight_) {
    // Sequence numbers grow within a batch, so the operation is found by halving.
    const auto op = std::lower_bound(batch.ops.begin(), batch.ops.end(), it->second,
                                     [](const Op& a, uint64_t sequence) { return a.sequence < sequence; });
    if (op != batch.ops.end() && op->sequence == it->second) return !op->remove && !op->cancelled;
  }
  return false;
}

MonoTime BindingQueue::FlushDue() const {
  if (live_ == 0 || in_flight_.size() >= kMaxInFlight) return MonoTime::max();
  return live_ >= bundle_max_flows_ ? MonoTime::min() : due_;
}

std::optional<MonoTime> BindingQueue::OldestSent() const {
  if (in_flight_.empty()) return std::nullopt;
  return in_flight_.front().sent;
}

}  // namespace dyncast::openflow
