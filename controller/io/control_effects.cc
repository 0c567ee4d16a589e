// What the core wants done, handed to the switches and the database.
#include <chrono>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "controller/io/control_loop.h"
#include "ovs-integration/pipeline/compile.h"
#include "ovs-integration/pipeline/packet.h"
#include "schema/base/log.h"

namespace dyncast {
namespace {

// How long the one write that must come before its use may take: a new instance's id.
constexpr std::chrono::milliseconds kNewIdFlush{500};
constexpr std::chrono::seconds kNewIdRetry{10};  // after it took longer

}  // namespace

void ControlLoop::Apply() {
  for (core::Effect& effect : effects_) {
    std::visit([this](auto& e) { Do(e); }, effect);
  }
  effects_.clear();
}

void ControlLoop::Do(const core::SetPlan& e) {
  Result<pipeline::Compiled> compiled = pipeline::Compile(*e.plan);
  Status set = compiled.ok() ? server_.SetDesired(Dpid(e.at), *compiled) : compiled.error();
  if (set.ok()) return;
  DYN_ERROR("DC-CT-001", "control", "plan-refused", "switch={} error={}", e.plan->name,
            set.error().ToString());
  Note("plan-refused", e.plan->name, set.error().ToString());
}

void ControlLoop::Do(const core::InstallBinding& e) { server_.InstallBinding(Dpid(e.at), e.flow); }

void ControlLoop::Do(const core::RemoveBinding& e) {
  server_.RemoveBinding(Dpid(e.at), e.key, e.client_bits);
}

void ControlLoop::Do(const core::RemoveBindingsOf& e) {
  server_.RemoveBindingsOf(Dpid(e.at), e.service, e.instance);
}

void ControlLoop::Do(const core::RemoveBindingsAt& e) {
  server_.RemoveBindingsAt(Dpid(e.at), e.service, e.place);
}

void ControlLoop::Do(const core::ForwardDemand& e) {
  // With its destination in place, egress has nothing left to write that could spoil it.
  const auto mapped = pipeline::MapLaterFragment(e.packet, {}, e.bid);
  const std::span<const uint8_t> packet = mapped ? std::span<const uint8_t>(*mapped) : e.packet;
  if (e.forwarder.is_none()) {
    server_.ForwardDemand(Dpid(e.at), e.in_port, e.service, e.instance, packet);
  } else {
    server_.ForwardMiss(Dpid(e.at), e.in_port, e.key, e.instance, e.forwarder, packet);
  }
}

void ControlLoop::Do(const core::RefuseDemand& e) {
  const auto answer = pipeline::MakeUnreachable(e.packet);
  if (!answer) return;
  if (e.neighbor.is_none()) {
    server_.SendPacket(Dpid(e.at), e.in_port, *answer);
  } else {
    server_.SendToNeighbor(Dpid(e.at), e.neighbor, *answer);
  }
}

void ControlLoop::Do(const core::AskNeighbor& e) {
  server_.SendPacket(Dpid(e.at), e.port,
                     e.target.is_v4() ? pipeline::MakeArpRequest(e.sender_mac, e.sender, e.target)
                                      : pipeline::MakeNeighborSolicit(e.sender_mac, e.sender, e.target));
}

void ControlLoop::Do(const core::SendHeld& e) { server_.SendToNeighbor(Dpid(e.at), e.neighbor, e.packet); }

void ControlLoop::Do(const core::CountBindings& e) {
  server_.CountBindings(Dpid(e.at),
                        e.generations ? openflow::CountScope::kAll : openflow::CountScope::kTimed);
}

void ControlLoop::Do(const core::CountPorts& e) { server_.CountPorts(Dpid(e.at)); }

void ControlLoop::Do(const core::ForwardIcmpError& e) {
  pipeline::IcmpErrorAddresses to;
  to.destination = e.bid;
  to.quoted_source = e.bid;
  Result<std::vector<uint8_t>> mapped = pipeline::MapIcmpError(e.packet, to);
  if (!mapped.ok()) return IcmpErrorUnmapped(e.at, mapped.error());
  server_.ForwardDemand(Dpid(e.at), e.in_port, e.service, e.instance, *mapped);
}

void ControlLoop::Do(const core::ReturnIcmpError& e) {
  if (e.bid.is_none()) {
    server_.SendToNeighbor(Dpid(e.at), e.neighbor, e.packet);
    return;
  }
  const Result<pipeline::IcmpError> error = pipeline::ParseIcmpError(e.packet);
  if (!error.ok()) return IcmpErrorUnmapped(e.at, error.error());
  pipeline::IcmpErrorAddresses to;
  to.quoted_destination = e.sid;
  if (error->source == e.bid) to.source = e.sid;
  Result<std::vector<uint8_t>> mapped = pipeline::MapIcmpError(e.packet, to);
  if (!mapped.ok()) return IcmpErrorUnmapped(e.at, mapped.error());
  server_.SendToNeighbor(Dpid(e.at), e.neighbor, *mapped);
}

void ControlLoop::Do(const core::ReturnFragment& e) {
  if (const auto mapped = pipeline::MapLaterFragment(e.packet, e.sid, {})) {
    server_.SendToNeighbor(Dpid(e.at), e.neighbor, *mapped);
  } else {
    ++unreadable_packets_;
  }
}

void ControlLoop::Do(const core::SendHello& e) { server_.SendHello(Dpid(e.at), e.tunnel, e.to); }

void ControlLoop::Do(const core::AnswerTtlExceeded& e) {
  if (auto answer = pipeline::MakeTimeExceeded(e.packet, e.gateway)) {
    server_.SendPacket(Dpid(e.at), e.in_port, *answer);
  }
}

void ControlLoop::IcmpErrorUnmapped(SwitchId at, const Error& error) {
  const SwitchEntry* entry = ById(at);
  DYN_WARN("DC-CT-005", "control", "icmp-error-not-mapped", "switch={} error={}",
           entry == nullptr ? "" : entry->name, error.ToString());
}

void ControlLoop::Do(Record& record) {
  if (const auto* event = std::get_if<EventRecord>(&record)) {
    DYN_LOG(kInfo, "event", event->kind, "subject={} detail=\"{}\"", event->subject, event->detail);
  }
  const auto* instance = std::get_if<InstanceRecord>(&record);
  const InstanceId fresh =
      instance != nullptr && !known_instances_[instance->id.value()] ? instance->id : InstanceId{};
  store_->Post(std::move(record));
  if (!fresh.valid() || ReadClocks().mono < next_id_flush_) return;
  // Flows will carry this id. Were it forgotten in a crash, the next start could give it to another
  // instance while bindings of this one still stand.
  if (Status flushed = store_->Flush(kNewIdFlush); !flushed.ok()) {
    DYN_WARN("DC-CT-002", "control", "instance-id-not-on-disk", "id={} error={}", fresh.value(),
             flushed.error().ToString());
    next_id_flush_ = ReadClocks().mono + kNewIdRetry;
    return;
  }
  known_instances_[fresh.value()] = true;
}

}  // namespace dyncast
