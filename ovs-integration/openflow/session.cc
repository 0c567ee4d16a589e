#include "ovs-integration/openflow/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "ovs-integration/openflow/punt.h"
#include "schema/base/log.h"

namespace dyncast::openflow {

std::string_view StateName(Session::State state) {
  switch (state) {
    case Session::State::kHello:
    case Session::State::kFeatures: return "handshake";
    case Session::State::kDumping: return "dumping";
    case Session::State::kFound: return "found";
    case Session::State::kSyncing: return "syncing";
    case Session::State::kSynced: return "synced";
    case Session::State::kRefused: return "refused";
    case Session::State::kClosed: return "away";
  }
  return "away";
}

Session::Session(const ServerOptions& options, Listener* listener, Host* host, std::string peer, MonoTime now)
    : options_(options),
      listener_(listener),
      host_(host),
      peer_(std::move(peer)),
      opened_(now),
      last_heard_(now),
      next_expiry_(now),
      bindings_(options.binding_tick, options.bundle_max_flows),
      on_sent_([this](const BindingKey& key, const BindingFlow* flow) { OnBindingSent(key, flow); }) {
  WriteHello(&out_, kHelloXid);
  ++counters_->messages_sent;
}

void Session::Send(MsgType type, uint32_t xid) {
  out_.Message(type, xid, kHeaderSize);
  ++counters_->messages_sent;
}

SendContext Session::Context(MonoTime now) {
  return {.out = &out_, .next_xid = &next_xid_, .counters = counters_, .now = now, .sent = &on_sent_};
}

void Session::Close(std::string reason) {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  close_reason_ = std::move(reason);
  last_error_ = close_reason_;
}

void Session::OnBrokenFraming(size_t length) {
  ++counters_->malformed_received;
  Close(fmt::format("protocol error: a message says that it has {} octets; 8 is the least", length));
}

void Session::Malformed(const Error& error) {
  ++counters_->malformed_received;
  last_error_ = error.message;
  DYN_WARN("DC-OF-001", "switch", "malformed", "peer={} dpid={:#x} error=\"{}\"", peer_, dpid_.value(),
           error.message);
}

void Session::OnMessage(ByteView message, Now now) {
  if (closed()) return;
  now_ = now.mono;
  last_heard_ = now.mono;
  probed_.reset();
  const MsgType type = MessageType(message);
  if (type == MsgType::kHello) {
    if (state_ == State::kHello) OnHello(message);
    return;
  }
  if (type == MsgType::kError) return OnError(message, now);
  if (state_ == State::kHello) {
    ++counters_->malformed_received;
    return Close(fmt::format("protocol error: the first message has type {}; a hello is the rule",
                             static_cast<unsigned>(type)));
  }
  if (MessageVersion(message) != kVersion15) {
    ++counters_->malformed_received;
    return Close(fmt::format("protocol error: a message of version {:#04x} after 0x06 was agreed",
                             MessageVersion(message)));
  }
  if (type == MsgType::kEchoRequest) {
    uint8_t* p = out_.Message(MsgType::kEchoReply, MessageXid(message), message.size());
    std::copy(message.begin() + kHeaderSize, message.end(), p + kHeaderSize);
    ++counters_->messages_sent;
    return;
  }
  if (type == MsgType::kFeaturesReply) {
    if (state_ == State::kFeatures) OnFeatures(message, now);
    return;
  }
  if (!serving()) return;
  std::vector<BindingQueue::Refused> refused;
  switch (type) {
    case MsgType::kExperimenter:
      if (IsPacketIn2(message)) OnPacketIn(message);
      if (IsOptionTableReply(message)) OnOptionTable(message);
      break;
    case MsgType::kFlowRemoved: OnFlowRemoved(message, now); break;
    case MsgType::kMultipartReply: OnMultipart(message); break;
    case MsgType::kBundleControl: {
      const Result<BundleReply> reply = ReadBundleControl(message);
      if (!reply) return Malformed(reply.error());
      if (reply->type != BundleControl::kCommitReply) break;
      if (!OnSyncReply(MessageXid(message), now.mono)) bindings_.OnCommitted(MessageXid(message), &refused);
      break;
    }
    case MsgType::kBarrierReply:
      std::erase_if(forgetting_, [&](const Forgetting& f) { return f.barrier_xid == MessageXid(message); });
      if (!OnSyncReply(MessageXid(message), now.mono)) bindings_.OnBarrier(MessageXid(message), &refused);
      break;
    default: break;  // port status and the like: the configuration side (OVSDB) tells of ports
  }
  Report(refused);
}

void Session::OnHello(ByteView message) {
  const Result<uint32_t> versions = ReadHello(message);
  if (!versions) {
    ++counters_->malformed_received;
    return Close("protocol error: " + versions.error().message);
  }
  if ((*versions >> kVersion15 & 1) == 0) {
    const std::string why =
        fmt::format("{} offers OpenFlow {}; 1.5 is needed", peer_, VersionNames(*versions));
    WriteHelloFailed(&out_, MessageVersion(message), MessageXid(message), why);
    ++counters_->messages_sent;
    DYN_WARN("DC-OF-002", "switch", "version-refused", "peer={} offers=\"{}\" needs=\"1.5\"", peer_,
             VersionNames(*versions));
    return Close("version: " + why);
  }
  state_ = State::kFeatures;
  Send(MsgType::kFeaturesRequest, kFeaturesXid);
}

void Session::OnFeatures(ByteView message, Now now) {
  const Result<Features> features = ReadFeatures(message);
  if (!features) {
    ++counters_->malformed_received;
    return Close("protocol error: " + features.error().message);
  }
  if (features->auxiliary_id != 0) {
    return Close(fmt::format("an auxiliary connection ({}) is not served", features->auxiliary_id));
  }
  dpid_ = features->dpid;
  std::string why;
  SwitchCounters* counters = host_->OnIdentified(this, dpid_, &why);
  if (counters == nullptr) return Close(why);
  counters->messages_sent += own_counters_.messages_sent;
  counters->malformed_received += own_counters_.malformed_received;
  ++counters->connects;
  counters_ = counters;
  identified_ = true;
  state_ = State::kDumping;
  WriteSetPacketIn2(&out_, kFormatXid);
  ++counters_->messages_sent;
  StartMonitors();
  StartDump(DumpKind::kFind, 0, now.mono);
}

void Session::OnError(ByteView message, Now now) {
  ++counters_->errors_received;
  const Result<ErrorMessage> error = ReadError(message);
  if (!error) return Malformed(error.error());
  const uint32_t xid = MessageXid(message);
  if (!serving()) return Close("the switch answers the handshake with " + error->text);
  std::vector<BindingQueue::Refused> refused;
  if (bindings_.OnError(xid, *error, Context(now.mono), &refused)) return Report(refused);
  last_error_ = error->text;
  DYN_WARN("DC-OF-003", "switch", "error", "dpid={:#x} xid={} error={}", dpid_.value(), xid, error->text);
  if (OnSyncError(xid, *error, now.mono)) return;
  if (dump_ && dump_->IsOfFlows(xid)) return Close("the switch refuses the flow dump: " + error->text);
  if (IsMonitorError(xid, *error) || OnOptionsError(xid, *error) || OnPortsError(xid)) return;
  if (dump_ && (xid == dump_->meter_xid || xid == dump_->group_xid)) {
    // A switch without meters or groups: wanted ones will be refused, and seen.
    (xid == dump_->meter_xid ? dump_->meters_done : dump_->groups_done) = true;
    return MaybeFinishDump();
  }
  const auto of_abandoned = [&](uint32_t flow_xid) { return xid >= flow_xid && xid < flow_xid + kDumpXids; };
  if (std::any_of(abandoned_flow_xids_.begin(), abandoned_flow_xids_.end(), of_abandoned)) return;
  if (xid == kFormatXid) return Close("the switch cannot send NXT_PACKET_IN2: " + error->text);
  if (xid == kPacketOutXid || xid == kEchoXid) return;  // counted; the switch's state is what it was
  ResyncAfter(error->text, now.mono);
}

void Session::OnPacketIn(ByteView message) {
  ++counters_->punts_received;
  const Result<std::optional<Punt>> punt = ReadPunt(message);
  if (!punt) return Malformed(punt.error());
  if (!*punt) {
    return Malformed(MakeError(Errc::kProtocol, "a packet-in with userdata that no flow of ours sends"));
  }
  listener_->OnPunt(dpid_, **punt);
}

void Session::Run(Now now) {
  if (closed()) return;
  const MonoTime t = now.mono;
  now_ = t;
  const Micros probe = options_.inactivity_probe;
  if (!serving() && t >= opened_ + 2 * probe) {
    return Close(
        fmt::format("the handshake was not finished within {} ms", 2 * options_.inactivity_probe.count()));
  }
  if (probed_ && t >= *probed_ + probe) {
    return Close(fmt::format("no answer to an echo request for {} ms", options_.inactivity_probe.count()));
  }
  if (!probed_ && serving() && t >= last_heard_ + probe) {
    Send(MsgType::kEchoRequest, kEchoXid);
    probed_ = t;
  }
  if (dump_ && t >= dump_->sent + kReplyTimeout) return Close("the switch does not answer a dump");
  if (sync_ && t >= sync_->sent + kReplyTimeout) return Close("the switch does not answer a bundle");
  if (options_asked_ && t >= options_asked_->sent + kReplyTimeout) {
    return Close("the switch does not tell its tunnel options");
  }
  if (const auto oldest = bindings_.OldestSent(); oldest && t >= *oldest + kReplyTimeout) {
    return Close("the switch does not answer a bundle of bindings");
  }
  if (t >= next_expiry_) {
    own_removals_.Expire(t);
    next_expiry_ = t + std::chrono::seconds{1};
  }
  if (!serving()) return;
  AnswerRefusedChecks();
  if (retry_at_ && t >= *retry_at_) {
    retry_at_.reset();
    ++counters_->resyncs;
    want_find_ = true;
  }
  if (WaitsForBindings()) {
    bindings_.Hasten(t);
    bindings_.Flush(Context(t));
    Report(bindings_.TakeUnencodable());
  }
  if (SyncDue()) {
    StartSync(t);
  } else if (MaySendMore()) {
    SendMore(t);
  }
  if (closed()) return;
  if (BindingsFrom() <= t && bindings_.FlushDue() <= t) {
    bindings_.Flush(Context(t));
    Report(bindings_.TakeUnencodable());
  }
  AskForPorts(t);
  StartWaitingDump(t);
}

MonoTime Session::BindingsFrom() const {
  if (synced_once_) return MonoTime::min();
  return found_once_ ? found_at_ + kPlanWait : MonoTime::max();
}

MonoTime Session::NextDeadline() const {
  if (closed()) return MonoTime::min();
  const Micros probe = options_.inactivity_probe;
  MonoTime next = probed_ ? *probed_ + probe : last_heard_ + probe;
  if (!serving()) next = std::min(next, opened_ + 2 * probe);
  if (dump_) next = std::min(next, dump_->sent + kReplyTimeout);
  if (sync_) next = std::min(next, sync_->sent + kReplyTimeout);
  if (options_asked_) next = std::min(next, options_asked_->sent + kReplyTimeout);
  if (const auto oldest = bindings_.OldestSent()) next = std::min(next, *oldest + kReplyTimeout);
  if (own_removals_.size() != 0) next = std::min(next, next_expiry_);
  next = std::min(next, std::max(bindings_.FlushDue(), BindingsFrom()));
  if (WaitsForBindings()) next = std::min(next, desired_at_ + kMoveWait);
  if (retry_at_) next = std::min(next, *retry_at_);
  if (ports_asked_ && want_ports_) next = std::min(next, ports_asked_->sent + kReplyTimeout);
  const bool ports_wait = want_ports_ && !ports_asked_ && found_once_;
  const bool dump_waits = want_find_ || (found_once_ && (want_count_ || !want_checks_.empty()));
  if (serving() && (ports_wait || SyncDue() || MaySendMore() || !refused_checks_.empty() ||
                    (!dump_ && !sync_ && !options_asked_ && dump_waits)))
    return MonoTime::min();
  return next;
}

void Session::ForwardDemand(PortNo in_port, ServiceId service, InstanceId instance, ByteView packet) {
  if (!serving()) return;
  packet_outs_.WriteForwardDemand(&out_, kPacketOutXid, in_port, service, instance, packet);
  ++counters_->messages_sent;
  ++counters_->packet_outs_sent;
}

void Session::ForwardMiss(PortNo in_port, const BindingKey& key, InstanceId instance,
                          const IpAddress& forwarder, ByteView packet) {
  if (!serving()) return;
  packet_outs_.WriteForwardMiss(&out_, kPacketOutXid, in_port, key, instance, forwarder, packet);
  ++counters_->messages_sent;
  ++counters_->packet_outs_sent;
}

void Session::SendHello(PortNo tunnel, const IpAddress& to) {
  if (!serving()) return;
  packet_outs_.WriteHello(&out_, kPacketOutXid, tunnel, to);
  ++counters_->messages_sent;
  ++counters_->packet_outs_sent;
}

void Session::SendPacket(PortNo port, ByteView packet) {
  if (!serving()) return;
  packet_outs_.WriteSendPacket(&out_, kPacketOutXid, port, packet);
  ++counters_->messages_sent;
  ++counters_->packet_outs_sent;
}

void Session::SendToNeighbor(const IpAddress& neighbor, ByteView packet) {
  if (!serving()) return;
  packet_outs_.WriteSendToNeighbor(&out_, kPacketOutXid, neighbor, packet);
  ++counters_->messages_sent;
  ++counters_->packet_outs_sent;
}

}  // namespace dyncast::openflow
