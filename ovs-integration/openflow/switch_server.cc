#include "ovs-integration/openflow/switch_server.h"

#include <config.h>
#include <fmt/format.h>
#include <openvswitch/types.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "socket-util.h"
#include "util.h"
extern "C" {
#include "stream.h"
}

#include "ovs-integration/openflow/loop.h"
#include "ovs-integration/openflow/session.h"
#include "schema/base/log.h"

namespace dyncast::openflow {
namespace {

constexpr size_t kReadSize = 64u << 10;
constexpr int kReadsPerTurn = 4;  // per switch: others must not wait long
constexpr int kAcceptsPerTurn = 16;
constexpr size_t kMaxConnections = 4096;
// A switch that learns sends a small segment for each binding. To be woken by each costs the switch, in whose
// time a local peer is woken and acknowledges, half as much as the binding itself: leave them a moment.
constexpr Micros kLearnedPause{1000};
// A look for new connections costs a system call: under load not in each turn.
constexpr Micros kAcceptGap{1000};

struct StreamClose {
  void operator()(stream* s) const { stream_close(s); }
};
struct PstreamClose {
  void operator()(pstream* p) const { pstream_close(p); }
};

std::string SocketError(int error) {
  return error == EOF ? "the peer closed the connection" : std::strerror(error);
}

// A session and its socket.
struct Connection {
  std::unique_ptr<stream, StreamClose> socket;
  std::unique_ptr<Session> session;
  Bytes input;      // starts with a message's first octet
  size_t used = 0;  // octets of `input` that are filled
  MonoTime read_again = MonoTime::min();
};

struct Switch {
  Session* session = nullptr;  // the one that serves it now
  SwitchCounters counters;
  std::string peer;
  std::string last_error;
  ImageCache cache;
};

}  // namespace

struct SwitchServer::Impl : Session::Host {
  Impl(ServerOptions o, Listener* l) : options(o), listener(l) {}

  SwitchCounters* OnIdentified(Session* session, DatapathId dpid, std::string* why) override;
  void Accept(MonoTime now);
  void Read(Connection* c, Now now);
  void ReadPaced(Connection* c, Now now);
  void Consume(Connection* c, Now now);
  void Write(Connection* c);
  void Reap();
  Session* Find(DatapathId dpid) {
    const auto it = switches.find(dpid);
    return it == switches.end() || it->second.session == nullptr || it->second.session->closed()
               ? nullptr
               : it->second.session;
  }

  const ServerOptions options;
  Listener* const listener;
  std::vector<std::unique_ptr<pstream, PstreamClose>> listeners;
  std::unordered_set<DatapathId> expected;
  std::unordered_map<DatapathId, Switch> switches;
  std::vector<std::unique_ptr<Connection>> connections;
  MonoTime now{};  // of the current or last turn
  MonoTime accept_again = MonoTime::min();
  bool looked = false;  // for new connections, in this turn
};

SwitchCounters* SwitchServer::Impl::OnIdentified(Session* session, DatapathId dpid, std::string* why) {
  if (!expected.contains(dpid)) {
    *why = fmt::format("datapath id {:#x} is not in the fabric", dpid.value());
    DYN_WARN("DC-OF-007", "switch", "unexpected", "peer={} dpid={:#x}", session->peer(), dpid.value());
    return nullptr;
  }
  Switch& sw = switches[dpid];
  if (sw.session != nullptr) {
    // The switch knows better which of its connections lives.
    sw.session->Close(fmt::format("a newer connection, {}, took its place", session->peer()));
    listener->OnLost(dpid, sw.session->close_reason());
  }
  sw.session = session;
  sw.peer = session->peer();
  DYN_LOG(kInfo, "switch", "connected", "dpid={:#x} peer={}", dpid.value(), sw.peer);
  return &sw.counters;
}

void SwitchServer::Impl::Accept(MonoTime at) {
  for (const auto& p : listeners) {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      stream* accepted = nullptr;
      const int error = pstream_accept(p.get(), &accepted);
      if (error == EAGAIN) break;
      if (error != 0) {
        DYN_WARN("DC-OF-008", "switch", "accept", "listen={} error=\"{}\"", pstream_get_name(p.get()),
                 SocketError(error));
        break;
      }
      auto c = std::make_unique<Connection>();
      c->socket.reset(accepted);
      if (connections.size() >= kMaxConnections) {
        DYN_WARN("DC-OF-009", "switch", "too-many", "peer={} limit={}", stream_get_name(accepted),
                 kMaxConnections);
        continue;
      }
      c->session = std::make_unique<Session>(options, listener, this, stream_get_name(accepted), at);
      connections.push_back(std::move(c));
    }
  }
}

void SwitchServer::Impl::Read(Connection* c, Now at) {
  stream_run(c->socket.get());
  for (int i = 0; i < kReadsPerTurn && !c->session->closed(); ++i) {
    if (c->input.size() < c->used + kReadSize) c->input.resize(c->used + kReadSize);
    const int got = stream_recv(c->socket.get(), c->input.data() + c->used, c->input.size() - c->used);
    if (got == -EAGAIN) return;
    if (got <= 0) {
      c->session->Close(got == 0 ? SocketError(EOF) : SocketError(-got));
      return;
    }
    c->used += static_cast<size_t>(got);
    Consume(c, at);
    if (static_cast<size_t>(got) < kReadSize) return;
  }
}

void SwitchServer::Impl::ReadPaced(Connection* c, Now at) {
  if (at.mono < c->read_again) return;
  const auto counters = [&] {
    return c->session->identified() ? switches[c->session->dpid()].counters : SwitchCounters{};
  };
  const SwitchCounters before = counters();
  Read(c, at);
  const SwitchCounters after = counters();
  // Demands that wait for the controller are never left.
  if (after.learned_received > before.learned_received && after.punts_received == before.punts_received) {
    c->read_again = at.mono + kLearnedPause;
  }
}

void SwitchServer::Impl::Consume(Connection* c, Now at) {
  ByteView rest = ByteView(c->input).first(c->used);
  size_t size = 0;
  CutState cut = CutMessage(rest, &size);
  while (cut == CutState::kMessage && !c->session->closed()) {
    c->session->OnMessage(rest.first(size), at);
    rest = rest.subspan(size);
    cut = CutMessage(rest, &size);
  }
  if (c->session->closed()) return;
  if (cut == CutState::kBroken) return c->session->OnBrokenFraming(size);
  std::memmove(c->input.data(), rest.data(), rest.size());
  c->used = rest.size();
}

void SwitchServer::Impl::Write(Connection* c) {
  OutBuffer& out = c->session->out();
  while (!out.empty()) {
    const ByteView pending = out.pending();
    const int sent = stream_send(c->socket.get(), pending.data(), pending.size());
    if (sent == -EAGAIN) break;
    if (sent <= 0) {
      c->session->Close(SocketError(-sent));
      return;
    }
    out.Consume(static_cast<size_t>(sent));
  }
  if (out.size() > options.max_queued_bytes) {
    const std::string why = fmt::format("it reads too slowly: {} octets wait, {} are allowed", out.size(),
                                        options.max_queued_bytes);
    DYN_WARN("DC-OF-010", "switch", "slow", "dpid={:#x} peer={} queued={} limit={}",
             c->session->dpid().value(), c->session->peer(), out.size(), options.max_queued_bytes);
    c->session->Close(why);
  }
}

void SwitchServer::Impl::Reap() {
  std::vector<std::pair<DatapathId, std::string>> lost;
  for (auto& c : connections) {
    const Session& s = *c->session;
    if (!s.closed()) continue;
    const bool ours = s.identified() && switches[s.dpid()].session == &s;
    if (!s.identified()) {
      DYN_WARN("DC-OF-011", "switch", "not-served", "peer={} reason=\"{}\"", s.peer(), s.close_reason());
    } else {
      DYN_WARN("DC-OF-012", "switch", "lost", "dpid={:#x} peer={} reason=\"{}\"", s.dpid().value(), s.peer(),
               s.close_reason());
    }
    if (ours) {
      Switch& sw = switches[s.dpid()];
      sw.session = nullptr;
      sw.last_error = s.close_reason();
      lost.emplace_back(s.dpid(), s.close_reason());
    }
    c.reset();
  }
  std::erase(connections, nullptr);
  for (const auto& [dpid, reason] : lost) listener->OnLost(dpid, reason);
}

SwitchServer::SwitchServer(ServerOptions options, Listener* listener)
    : impl_(std::make_unique<Impl>(options, listener)) {}
SwitchServer::~SwitchServer() = default;

Status SwitchServer::Listen(const std::string& target) {
  pstream* p = nullptr;
  const int error = pstream_open(target.c_str(), &p, 0);
  if (error != 0) {
    return MakeError(Errc::kIo, fmt::format("cannot listen: {}", std::strerror(error)), target);
  }
  impl_->listeners.emplace_back(p);
  return Ok();
}

void SwitchServer::SetExpected(std::vector<DatapathId> expected) {
  impl_->expected = {expected.begin(), expected.end()};
  for (auto& [dpid, sw] : impl_->switches) {
    if (sw.session != nullptr && !impl_->expected.contains(dpid)) {
      sw.session->Close("the switch is no longer in the fabric");
    }
  }
}

void SwitchServer::Run(Now now) {
  impl_->now = now.mono;
  impl_->looked = now.mono >= impl_->accept_again;
  if (impl_->looked) {
    impl_->accept_again = now.mono + kAcceptGap;
    impl_->Accept(now.mono);
  }
  // A callback may not add connections, so the indices stay valid.
  for (size_t i = 0; i < impl_->connections.size(); ++i) {
    Connection* c = impl_->connections[i].get();
    if (!c->session->closed()) impl_->ReadPaced(c, now);
    if (!c->session->closed()) c->session->Run(now);
  }
  for (size_t i = 0; i < impl_->connections.size(); ++i) {
    // Also of a session that was just closed: its last words say why.
    impl_->Write(impl_->connections[i].get());
  }
  impl_->Reap();
}

void SwitchServer::Wait(Now now) {
  if (impl_->looked) {
    for (const auto& p : impl_->listeners) pstream_wait(p.get());
  } else {
    WakeAt(impl_->accept_again);
  }
  for (const auto& c : impl_->connections) {
    stream_run_wait(c->socket.get());
    if (now.mono < c->read_again) {
      WakeAt(c->read_again);
    } else {
      stream_recv_wait(c->socket.get());
    }
    if (!c->session->out().empty()) stream_send_wait(c->socket.get());
    const MonoTime next = c->session->NextDeadline();
    if (next == MonoTime::min()) {
      WakeNow();
    } else {
      WakeAt(next);
    }
  }
}

Status SwitchServer::SetDesired(DatapathId dpid, const pipeline::Compiled& desired) {
  if (!impl_->expected.contains(dpid)) {
    return MakeError(Errc::kNotFound, fmt::format("datapath id {:#x} is not in the fabric", dpid.value()));
  }
  Result<std::shared_ptr<const Desired>> compiled = impl_->switches[dpid].cache.Compile(desired);
  if (!compiled) return compiled.error();
  if (Session* s = impl_->Find(dpid)) s->SetDesired(std::move(*compiled));
  return Ok();
}

void SwitchServer::InstallBinding(DatapathId dpid, const BindingFlow& flow) {
  if (Session* s = impl_->Find(dpid)) s->InstallBinding(flow, impl_->now);
}
void SwitchServer::RemoveBinding(DatapathId dpid, const BindingKey& key, uint8_t client_bits) {
  if (Session* s = impl_->Find(dpid)) s->RemoveBinding(key, impl_->now, client_bits);
}
void SwitchServer::RemoveBindingsOf(DatapathId dpid, ServiceId service, InstanceId instance) {
  if (Session* s = impl_->Find(dpid)) s->RemoveBindingsOf(service, instance, impl_->now);
}
void SwitchServer::RemoveBindingsAt(DatapathId dpid, ServiceId service, BindingPlace place) {
  if (Session* s = impl_->Find(dpid)) s->RemoveBindingsAt(service, place, impl_->now);
}
void SwitchServer::ForwardDemand(DatapathId dpid, PortNo in_port, ServiceId service, InstanceId instance,
                                 std::span<const uint8_t> packet) {
  if (Session* s = impl_->Find(dpid)) s->ForwardDemand(in_port, service, instance, packet);
}
void SwitchServer::ForwardMiss(DatapathId dpid, PortNo in_port, const BindingKey& key, InstanceId instance,
                               const IpAddress& forwarder, std::span<const uint8_t> packet) {
  if (Session* s = impl_->Find(dpid)) s->ForwardMiss(in_port, key, instance, forwarder, packet);
}
void SwitchServer::SendHello(DatapathId dpid, PortNo tunnel, const IpAddress& to) {
  if (Session* s = impl_->Find(dpid)) s->SendHello(tunnel, to);
}
void SwitchServer::SendPacket(DatapathId dpid, PortNo port, std::span<const uint8_t> packet) {
  if (Session* s = impl_->Find(dpid)) s->SendPacket(port, packet);
}
void SwitchServer::SendToNeighbor(DatapathId dpid, const IpAddress& neighbor,
                                  std::span<const uint8_t> packet) {
  if (Session* s = impl_->Find(dpid)) s->SendToNeighbor(neighbor, packet);
}
void SwitchServer::CountBindings(DatapathId dpid, CountScope scope) {
  if (Session* s = impl_->Find(dpid)) s->CountBindings(scope);
}
void SwitchServer::CountPorts(DatapathId dpid) {
  if (Session* s = impl_->Find(dpid)) s->CountPorts();
}
void SwitchServer::Check(DatapathId dpid, uint64_t request) {
  if (Session* s = impl_->Find(dpid)) s->Check(request);
}
void SwitchServer::Resync(DatapathId dpid) {
  if (Session* s = impl_->Find(dpid)) s->Resync();
}

std::vector<SwitchStatus> SwitchServer::Statuses() const {
  std::vector<SwitchStatus> all;
  for (const DatapathId dpid : impl_->expected) {
    SwitchStatus status{.dpid = dpid, .peer = {}, .state = "away", .last_error = {}, .counters = {}};
    if (const auto it = impl_->switches.find(dpid); it != impl_->switches.end()) {
      const Switch& sw = it->second;
      status.peer = sw.peer;
      status.counters = sw.counters;
      status.last_error = sw.last_error;
      if (sw.session != nullptr) {
        status.state = StateName(sw.session->state());
        if (!sw.session->last_error().empty()) status.last_error = sw.session->last_error();
      }
    }
    all.push_back(std::move(status));
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.dpid < b.dpid; });
  return all;
}

}  // namespace dyncast::openflow
