// A session and an emulated switch joined in memory: no socket, no clock.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ovs-integration/openflow/flow_diff.h"
#include "ovs-integration/openflow/oxm.h"
#include "ovs-integration/openflow/session.h"
#include "tests/support/fake_switch/fake_switch.h"

namespace dyncast::test {

inline constexpr DatapathId kDpid{0x2a};

struct HeldPunt {
  openflow::Punt punt;
  std::vector<uint8_t> packet;
};

// Writes down what a session reports.
class Recorder : public openflow::Listener {
 public:
  void OnFound(DatapathId, openflow::FoundSwitch what) override {
    found.push_back(std::move(what.bindings));
    dispatch.push_back(std::move(what.dispatch));
    empty.push_back(what.empty);
    if (on_found) on_found();
  }
  void OnLearned(DatapathId, std::span<const FoundBinding> bindings) override {
    ++learned_batches;
    learned.insert(learned.end(), bindings.begin(), bindings.end());
  }
  void OnMonitorGap(DatapathId) override { ++gaps; }
  void OnSynced(DatapathId, const openflow::SyncReport& report) override { synced.push_back(report); }
  void OnLost(DatapathId, const std::string& reason) override { lost.push_back(reason); }
  void OnPunt(DatapathId, const openflow::Punt& punt) override {
    punts.push_back({punt, {punt.packet.begin(), punt.packet.end()}});
    if (on_punt) on_punt(punt);
  }
  void OnBindingEnded(DatapathId, const FoundBinding& binding, EndReason reason) override {
    ended.emplace_back(binding, reason);
  }
  void OnBindingRefused(DatapathId, const BindingKey& key, const std::string& error) override {
    refused.emplace_back(key, error);
  }
  void OnUnboundCounted(DatapathId, std::vector<UnboundPackets> packets) override {
    unbound.insert(unbound.end(), packets.begin(), packets.end());
  }
  void OnPortsCounted(DatapathId, std::vector<PortCounters> counted_ports) override {
    ports.push_back(std::move(counted_ports));
  }
  void OnCounted(DatapathId, std::vector<FoundBinding> bindings) override {
    ++counts;
    counted.insert(counted.end(), bindings.begin(), bindings.end());
  }
  void OnChecked(DatapathId, uint64_t request, const openflow::SyncReport& report,
                 std::vector<FoundBinding> bindings) override {
    checked.push_back({request, report, std::move(bindings)});
  }

  struct Checked {
    uint64_t request = 0;
    openflow::SyncReport report;
    std::vector<FoundBinding> bindings;
  };
  std::function<void()> on_found;
  std::function<void(const openflow::Punt&)> on_punt;
  std::vector<std::vector<FoundBinding>> found;
  std::vector<std::vector<FoundDispatch>> dispatch;
  std::vector<bool> empty;
  std::vector<FoundBinding> learned;
  size_t learned_batches = 0;
  size_t gaps = 0;
  std::vector<openflow::SyncReport> synced;
  std::vector<std::string> lost;
  std::vector<HeldPunt> punts;
  std::vector<std::pair<FoundBinding, EndReason>> ended;
  std::vector<std::pair<BindingKey, std::string>> refused;
  size_t counts = 0;
  std::vector<FoundBinding> counted;
  std::vector<UnboundPackets> unbound;
  std::vector<std::vector<PortCounters>> ports;
  std::vector<Checked> checked;
};

class Joined : public openflow::Session::Host {
 public:
  explicit Joined(FakeSwitchOptions fake_options = {}, openflow::ServerOptions server_options = {})
      : options(server_options), fake([&] {
          fake_options.dpid = kDpid.value();
          return fake_options;
        }()) {
    Reconnect();
  }

  openflow::SwitchCounters* OnIdentified(openflow::Session*, DatapathId dpid, std::string* why) override {
    if (dpid == expected) return &counters;
    *why = "not expected";
    return nullptr;
  }

  void Reconnect() {
    session = std::make_unique<openflow::Session>(options, &recorder, this, "test", now.mono);
    fake.Greet();
  }
  // Carries messages to and fro until both are quiet. Time stands still.
  void Pump() {
    while (PumpOnce()) {
    }
  }
  // What each has for the other now. False: nothing moved.
  bool PumpOnce() {
    bool moved = Carry(&session->out(), [&](openflow::ByteView m) { fake.Receive(m); });
    if (fake.gone()) session->Close("the switch went away");
    moved |= Carry(&fake.output(), [&](openflow::ByteView m) { session->OnMessage(m, now); });
    session->Run(now);
    return moved || (!session->out().empty() && !session->closed());
  }
  void Advance(Micros by) {
    now.mono += by;
    session->Run(now);
    Pump();
  }
  // The usual start: connected, found, `desired` synced.
  void Start(const pipeline::Compiled& desired) {
    Pump();
    Want(desired);
    Pump();
  }
  void Want(const pipeline::Compiled& desired) {
    auto compiled = cache.Compile(desired);
    Must(compiled);
    session->SetDesired(std::move(*compiled));
  }
  openflow::Session::State state() const { return session->state(); }

  template <typename T>
  static void Must(const Result<T>& r) {
    if (!r) throw std::runtime_error(r.error().ToString());
  }

  openflow::ServerOptions options;
  Recorder recorder;
  openflow::SwitchCounters counters;
  DatapathId expected = kDpid;
  FakeSwitch fake;
  std::unique_ptr<openflow::Session> session;
  openflow::ImageCache cache;
  Now now{MonoTime{Micros{1000000000}}, {}};

 private:
  template <typename F>
  static bool Carry(openflow::OutBuffer* from, F&& to) {
    if (from->pending().empty()) return false;
    std::vector<uint8_t> bytes(from->pending().size());
    std::copy(from->pending().begin(), from->pending().end(), bytes.begin());
    from->Consume(bytes.size());
    openflow::ByteView rest(bytes);
    size_t size = 0;
    while (openflow::CutMessage(rest, &size) == openflow::CutState::kMessage) {
      to(rest.first(size));
      rest = rest.subspan(size);
    }
    return true;
  }
};

// A plan of `egress` egress flows, an entry flow and the two meters.
inline pipeline::Compiled SmallPlan(int egress = 3) {
  const auto cookie = [](pipeline::FlowKind kind, uint16_t instance) {
    return pipeline::EncodeCookie(
        {.kind = kind, .service = ServiceId{5}, .instance = InstanceId{instance}, .at = SwitchId{1}});
  };
  pipeline::Compiled plan;
  plan.meters = {{.id = pipeline::kDemandMeter, .packets_per_s = 20000, .burst_packets = 2000},
                 {.id = pipeline::kOtherMeter, .packets_per_s = 200, .burst_packets = 20}};
  plan.flows.push_back({.table = 0,
                        .priority = 10,
                        .cookie = cookie(pipeline::FlowKind::kStatic, 0),
                        .match = "tcp,in_port=1,nw_dst=192.0.2.1,tp_dst=80",
                        .actions = "set_field:0x5->reg1,resubmit(,20),resubmit(,30)"});
  plan.flows.push_back({.table = 30,
                        .priority = 0,
                        .cookie = cookie(pipeline::FlowKind::kStatic, 0),
                        .match = "reg0=0",
                        .actions = "meter:1,controller(userdata=01.00.05)"});
  for (int i = 1; i <= egress; ++i) {
    plan.flows.push_back(
        {.table = 40,
         .priority = 10,
         .cookie = cookie(pipeline::FlowKind::kEgress, static_cast<uint16_t>(i)),
         .match = "ip,reg0=" + std::to_string(i),
         .actions = "set_field:10.9.0." + std::to_string(i % 200 + 1) + "->ip_dst,resubmit(,60)"});
  }
  return plan;
}

// The same with the options of a tunnel and a flow that matches the first of them.
inline pipeline::Compiled TunnelPlan(int egress = 3) {
  pipeline::Compiled plan = SmallPlan(egress);
  plan.tunnel_options = {{.option_class = pipeline::kTunnelClass, .type = 1, .octets = 4, .field = 0},
                         {.option_class = pipeline::kTunnelClass, .type = 2, .octets = 12, .field = 1},
                         {.option_class = pipeline::kTunnelClass, .type = 3, .octets = 16, .field = 2}};
  plan.flows.push_back({.table = 1,
                        .priority = 100,
                        .cookie = plan.flows[0].cookie,
                        .match = "in_port=10,tun_src=10.0.0.1,tun_metadata0=0x01000000/0xff000000",
                        .actions = "set_field:0x5->reg1,resubmit(,20)"});
  return plan;
}

inline BindingFlow MakeBinding(uint32_t client, uint16_t instance = 7, uint16_t src_port = 1234) {
  return {.key = {.client = IpAddress::V4(0x0a000000u + client),
                  .src_port = src_port,
                  .dst_port = 80,
                  .service = ServiceId{5},
                  .at = SwitchId{1},
                  .proto = IpProto::kTcp},
          .instance = InstanceId{instance}};
}

// What a `learn` of the pipeline makes of a key.
inline FakeFlow LearnedFlow(const BindingKey& key, uint16_t instance,
                            BindingPlace place = BindingPlace::kTimed) {
  const pipeline::KeyRegisters r = pipeline::RegistersOf(key);
  const bool timed = place == BindingPlace::kTimed;
  return {.table = openflow::TableOf(place),
          .priority = pipeline::kBindingPriority,
          .cookie = pipeline::EncodeCookie({.kind = pipeline::FlowKind::kBinding,
                                            .service = key.service,
                                            .instance = InstanceId{instance},
                                            .at = key.at}),
          .idle_timeout_s = static_cast<uint16_t>(timed ? 60 : 0),
          .flags = static_cast<uint16_t>(timed ? 1 : 0),
          .match = LearnedMatch(r.reg1, r.reg4, r.reg7, r.xxreg2)};
}

// A plan of service 5 with dispatch learn: its lookup, a select flow per family, and a group per family with
// slots dealt out to `instances` in turn.
inline pipeline::Compiled LearnPlan(uint16_t instances = 3, bool closed = false, uint8_t generation = 0) {
  pipeline::Compiled plan = SmallPlan(instances);
  const auto cookie = [](pipeline::FlowKind kind, unsigned instance) {
    return pipeline::EncodeCookie({.kind = kind,
                                   .service = ServiceId{5},
                                   .instance = InstanceId{static_cast<uint16_t>(instance)},
                                   .at = SwitchId{1}});
  };
  plan.flows.push_back({.table = 15,
                        .priority = 100,
                        .cookie = cookie(pipeline::FlowKind::kDispatch, generation | (closed ? 2u : 0u)),
                        .match = "reg1=0x5",
                        .actions = "resubmit(,20),resubmit(,30)"});
  for (const bool v6 : {false, true}) {
    const uint32_t id = pipeline::GroupId(ServiceId{5}, v6);
    plan.flows.push_back({.table = 30,
                          .priority = 100,
                          .cookie = cookie(pipeline::FlowKind::kStatic, 0),
                          .match = std::string(v6 ? "reg4=0x100/0x100" : "reg4=0/0x100") + ",reg0=0,reg1=0x5",
                          .actions = "group:" + std::to_string(id)});
    pipeline::Group group{.id = id, .slots = {}};
    for (size_t i = 0; i < kSlots; ++i) {
      group.slots.emplace_back(static_cast<uint16_t>(1 + i % instances));
    }
    plan.groups.push_back(std::move(group));
  }
  return plan;
}

}  // namespace dyncast::test
