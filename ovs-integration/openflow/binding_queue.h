// The bindings on their way to one switch: queued, in flight, refused. Pure: `now` comes in, messages go out.
//
// Operations are kept by key, later ones win, and leave together: at most one bundle a tick, or when a bundle
// is full. Under load a bundle waits up to ten ticks: each costs the switch a look at all its datapath
// flows. Several bundles may be in flight: the switch handles them in order. A bundle fails as a whole; the
// flow that the switch names is reported as refused and the others are sent again. After two failures, or
// when the switch names no flow, they are sent one by one with a barrier behind: slower, but each stands for
// itself.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ovs-integration/openflow/binding_codec.h"
#include "ovs-integration/openflow/control.h"
#include "ovs-integration/openflow/switch_server.h"
#include "ovs-integration/openflow/wire.h"
#include "schema/model/binding.h"

namespace dyncast::openflow {

// What sending needs from the session.
struct SendContext {
  OutBuffer* out = nullptr;
  uint32_t* next_xid = nullptr;
  SwitchCounters* counters = nullptr;
  MonoTime now{};
  const std::function<void(const BindingKey&, const BindingFlow*)>* sent =
      nullptr;  // see BindingQueue::Flush
};

class BindingQueue {
 public:
  struct Refused {
    BindingKey key;
    std::string error;
  };
  struct Op {
    BindingFlow flow;
    uint64_t sequence = 0;
    bool remove = false;
    BindingEncoder::Form form = BindingEncoder::Form::kPushed;
    std::optional<bool> announced{};  // as a removal; nullopt: not sent yet
    bool cancelled = false;           // superseded or refused: not to be sent (again)
  };
  static constexpr size_t kMaxInFlight = 8;

  BindingQueue(Micros tick, uint32_t bundle_max_flows);

  void Install(const BindingFlow& flow, BindingEncoder::Form form, MonoTime now);
  // `client_bits`: see BindingFlow. Whatever form the key's flows have, they go.
  void Remove(const BindingKey& key, MonoTime now, uint8_t client_bits = kAllClientBits);
  // The caller deletes them by cookie, at once: what is queued of them, or has to be sent again, becomes a
  // removal of its key.
  void CancelOf(ServiceId service, InstanceId instance);
  // The caller deletes all of a service in one table: installs there are not to be sent (again).
  void CancelAt(ServiceId service, BindingPlace place);

  // What is queued is due.
  void Hasten(MonoTime now) { due_ = std::min(due_, now); }
  // Sends what is due and allowed. context.sent sees each key, and the flow if it is installed; again where
  // an operation that is repeated has become another.
  void Flush(const SendContext& context);

  // Each is true if `xid` belongs here. Flows that the switch will not hold are appended to *refused.
  bool OnError(uint32_t xid, const ErrorMessage& error, const SendContext& context,
               std::vector<Refused>* refused);
  bool OnCommitted(uint32_t xid, std::vector<Refused>* refused);
  bool OnBarrier(uint32_t xid, std::vector<Refused>* refused);
  // Flows that could not be encoded since the last call.
  std::vector<Refused> TakeUnencodable();

  // An install of this key is queued or not confirmed yet.
  bool InstallPending(const BindingKey& key) const;
  // When Flush next has something to do; max() if nothing is queued or too much is in flight.
  MonoTime FlushDue() const;
  // When the oldest unconfirmed batch was sent.
  std::optional<MonoTime> OldestSent() const;
  size_t queued() const { return live_; }
  // Operations in memory that were not sent: with superseded ones, at most 2 * queued() + 1024.
  size_t held() const { return queued_.size(); }

 private:
  struct Batch {
    std::vector<Op> ops;
    uint32_t first_xid = 0;
    uint32_t first_op_xid = 0;
    uint32_t last_xid = 0;  // the commit's, or the barrier's
    bool bundled = true;
    bool open_failed = false;
    uint32_t attempt = 0;
    MonoTime sent{};
    std::vector<std::pair<size_t, std::string>> failures;  // op, why
  };
  void Push(Op op, MonoTime now);
  void Compact();
  void Send(std::vector<Op> ops, uint32_t attempt, bool bundled, const SendContext& context);
  // Number of messages; 0: it cannot be encoded.
  size_t Write(const Op& op, bool bundled, uint32_t xid, uint32_t bundle_id, OutBuffer* out);
  void Finish(const Batch& batch, std::vector<Refused>* refused);
  void Retry(Batch batch, const SendContext& context, std::vector<Refused>* refused);
  void Forget(const Op& op);

  const Micros tick_;
  const uint32_t bundle_max_flows_;
  BindingEncoder encoder_;
  std::deque<Op> queued_;  // sequence numbers without gaps, the first is front().sequence
  size_t live_ = 0;        // of them not cancelled
  uint64_t next_sequence_ = 1;
  MonoTime due_{};
  MonoTime last_flush_{};
  Micros spacing_;  // from the last bundle to the next: tick_ to kMostTicks of it
  std::unordered_map<BindingKey, uint64_t> latest_;  // queued or in flight; sequence of the last operation
  std::deque<Batch> in_flight_;
  std::vector<Refused> unencodable_;
};

}  // namespace dyncast::openflow
