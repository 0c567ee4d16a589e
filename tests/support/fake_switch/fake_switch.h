// An emulated OpenFlow 1.5 switch: flows, groups, meters, bundles, flow monitors and tunnel options behind a
// socket, with faults to order. It forwards nothing. Wire octets are written by hand, so that tests do not
// check libopenvswitch against itself, and so that a load of punts costs little.
//
// Not blocking but for Connect; call Step when fd() is readable, or often. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ovs-integration/openflow/wire.h"
#include "schema/base/result.h"

namespace dyncast::test {

struct FakeSwitchOptions {
  std::string target = {};  // "tcp:IP:PORT" or "unix:PATH"
  uint64_t dpid = 1;
  uint8_t version = 0x06;  // 0x04: speaks OpenFlow 1.3 only
  bool has_meters = true;
  bool has_monitors = true;
  bool has_port_stats = true;
  bool has_tunnel_options = true;
  size_t group_limit = SIZE_MAX;  // further groups are refused (OFPGMFC_OUT_OF_GROUPS)
  size_t flow_limit = SIZE_MAX;   // further flows are refused (OFPFMFC_TABLE_FULL)
  bool store_bindings = true;     // false: flows of the binding table are only counted
};

struct FakeFlow {
  uint8_t table = 0;
  uint16_t priority = 0;
  uint64_t cookie = 0;
  uint16_t idle_timeout_s = 0;
  uint16_t hard_timeout_s = 0;
  uint16_t flags = 0;
  std::vector<uint8_t> match{};  // ofp_match with its filling
  std::vector<uint8_t> instructions{};
  uint64_t packets = 0;
  uint64_t bytes = 0;
};

// A Geneve option as a field.
struct FakeTunnelOption {
  uint16_t option_class = 0;
  uint8_t type = 0;
  uint8_t octets = 0;
  friend bool operator==(const FakeTunnelOption&, const FakeTunnelOption&) = default;
};

// A port as statistics and descriptions tell of it. All ones: not counted.
struct FakePort {
  uint32_t number = 1;
  uint64_t in_packets = 0;
  uint64_t out_packets = 0;
  uint64_t in_bytes = 0;
  uint64_t out_bytes = 0;
  uint64_t in_dropped = 0;
  uint64_t out_dropped = 0;
  uint32_t speed_kbit_s = 0;
  uint32_t alive_s = UINT32_MAX;  // all ones: not known
  uint32_t alive_ns = 0;
};

struct FakeGroup {
  uint8_t type = 1;
  std::vector<uint8_t> buckets;
  std::vector<uint8_t> properties;
};

// What a packet-in says; registers that are 0 are left out.
struct FakePunt {
  std::vector<uint8_t> userdata;
  uint32_t in_port = 0;
  uint32_t reg0 = 0;
  uint32_t reg5 = 0;
  uint32_t reg6 = 0;
  std::array<uint32_t, 4> xxreg3{};
  std::vector<uint8_t> other_fields{};  // OXM, in front of the registers
};

class FakeSwitch {
 public:
  explicit FakeSwitch(FakeSwitchOptions options);
  ~FakeSwitch();
  FakeSwitch(const FakeSwitch&) = delete;
  FakeSwitch& operator=(const FakeSwitch&) = delete;

  Status Connect();
  void Disconnect();
  bool connected() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  // Handles what has come and sends what waits. False if the connection is gone.
  bool Step();
  bool wants_write() const { return !out_.empty(); }

  // Without a socket: hands over one message of the controller; output() then holds the answers.
  void Receive(openflow::ByteView message) { Handle(message); }
  openflow::OutBuffer& output() { return out_; }
  // Begins a connection: says hello. (Connect does it by itself.)
  void Greet();
  bool gone() const { return gone_; }  // a fault cut the connection

  // Faults, each for once.
  void RefuseFlow(uint64_t nth) { refuse_at_ = flow_mods_seen_ + nth; }  // 1: the next
  void DisconnectBeforeCommit() { disconnect_before_commit_ = true; }
  void BeSilent(std::optional<openflow::MsgType> about);  // no answers to these; nullopt: to nothing at all
  void SendRaw(openflow::ByteView bytes) { out_.Append(bytes); }

  // NXT_PACKET_IN2 with userdata {reason, service}, in_port and, unless 0, reg5.
  void SendPunt(uint8_t reason, uint16_t service, uint32_t in_port, uint32_t reg5, openflow::ByteView packet);
  void SendPunt(const FakePunt& punt, openflow::ByteView packet);
  void SendFlowRemoved(const FakeFlow& flow, uint8_t reason);
  // As if a `learn` had made or changed it: the flow monitors see it, unless they pause.
  void Learn(const FakeFlow& flow);
  // As a switch whose monitor's queue is full; what is learned meanwhile is told by ResumeMonitor.
  void PauseMonitor();
  void ResumeMonitor();
  // Removes it as a timeout would, with flow-removed if the flow asks for it. False: there is none.
  bool Expire(const std::string& key, uint8_t reason);

  // Called for each packet-out (whole message) and each flow added to the binding table (whole flow_mod).
  std::function<void(openflow::ByteView)> on_packet_out;
  std::function<void(openflow::ByteView)> on_binding;
  // Called in front of the answer to each multipart request, with its type.
  std::function<void(uint16_t)> on_multipart;

  // By table, priority and match.
  std::map<std::string, FakeFlow>& flows() { return flows_; }
  std::vector<FakeFlow> FlowsOf(uint8_t table) const;
  std::map<uint32_t, FakeGroup>& groups() { return groups_; }
  // By field tun_metadataN. Flows whose match names another one are refused (NXFMFC_INVALID_TLV_FIELD).
  std::map<uint16_t, FakeTunnelOption>& tunnel_options() { return tunnel_options_; }
  uint64_t option_requests_seen() const { return option_requests_seen_; }
  uint64_t option_mods_seen() const { return option_mods_seen_; }
  std::vector<FakePort>& ports() { return ports_; }
  // Tables that are monitored.
  const std::set<uint8_t>& monitored() const { return monitored_; }
  uint64_t group_mods_seen() const { return group_mods_seen_; }
  // Id -> meter_mod's body behind the id.
  const std::map<uint32_t, std::vector<uint8_t>>& meters() const { return meters_; }
  uint64_t received(openflow::MsgType type) const { return received_[static_cast<uint8_t>(type)]; }
  uint64_t received_total() const;
  uint64_t bundles_committed() const { return bundles_committed_; }
  uint64_t flow_mods_seen() const { return flow_mods_seen_; }
  // Type and code of the first error that the controller sent.
  std::optional<std::pair<uint16_t, uint16_t>> error_received() const { return error_received_; }
  void ResetCounts();

 private:
  void Handle(openflow::ByteView message);
  void HandleMultipart(openflow::ByteView message);
  void HandleBundle(openflow::ByteView message);
  void Commit(uint32_t xid, uint32_t id);
  void HandleMeterMod(openflow::ByteView message);
  void SendError(openflow::ByteView about, uint16_t type, uint16_t code);
  void SendErrorXid(uint32_t xid, uint16_t type, uint16_t code);
  void SendFlowStats(openflow::ByteView request);
  void SendMeterConfigs(uint32_t xid);
  void SendGroupDescs(uint32_t xid);
  void SendPortStats(uint32_t xid);
  void SendPortDescs(uint32_t xid);
  void HandleMonitorRequest(openflow::ByteView message);
  uint8_t* StartUpdate(size_t size, uint16_t event);
  void TellLearned(const FakeFlow& flow, uint16_t event);
  uint32_t CheckGroup(openflow::ByteView group_mod);
  void ApplyGroup(openflow::ByteView group_mod);
  void TellOwnChange(uint32_t xid);
  void HandleExperimenter(openflow::ByteView message);
  void SendOptionTable(uint32_t xid);
  uint32_t AddOptions(openflow::ByteView message);
  uint32_t CheckOptions(openflow::ByteView match) const;
  // Non-zero: type << 16 | code of the refusal.
  uint32_t Check(openflow::ByteView flow_mod);
  void Apply(openflow::ByteView flow_mod);
  void TellRemoved();
  bool Mute(openflow::MsgType type) const;
  void Write();

  const FakeSwitchOptions options_;
  int fd_ = -1;
  openflow::OutBuffer out_;
  std::vector<uint8_t> in_;
  size_t in_used_ = 0;
  std::map<std::string, FakeFlow> flows_;
  std::map<uint32_t, std::vector<uint8_t>> meters_;
  std::map<uint32_t, FakeGroup> groups_;
  std::vector<FakePort> ports_;
  std::map<uint16_t, FakeTunnelOption> tunnel_options_;
  uint64_t option_requests_seen_ = 0;
  uint64_t option_mods_seen_ = 0;
  std::set<uint8_t> monitored_;
  bool paused_ = false;
  std::vector<FakeFlow> learned_in_pause_;
  uint64_t group_mods_seen_ = 0;
  std::map<uint32_t, std::vector<std::vector<uint8_t>>> bundles_;
  std::vector<FakeFlow> removed_;  // by the change at work; told when it stands
  uint64_t received_[256] = {};
  uint64_t bundles_committed_ = 0;
  uint64_t flow_mods_seen_ = 0;
  uint64_t refuse_at_ = 0;
  bool disconnect_before_commit_ = false;
  bool silent_ = false;
  bool gone_ = false;
  std::optional<openflow::MsgType> silent_about_;
  std::optional<std::pair<uint16_t, uint16_t>> error_received_;
};

// Key of a flow_mod or flow in FakeSwitch::flows().
std::string FakeFlowKey(uint8_t table, uint16_t priority, openflow::ByteView match);

// The match of a binding that a switch learned (docs/pipeline.md): registers 1, 4, 7 and 8..11, exact.
std::vector<uint8_t> LearnedMatch(uint32_t reg1, uint32_t reg4, uint32_t reg7,
                                  const std::array<uint32_t, 4>& client);

}  // namespace dyncast::test
