// A real ovsdb-server and ovs-vswitchd with dummy ports, in a temporary folder of their own: no root, no
// kernel, no network. Time stands still (except in steps that Warp makes), so timeouts are exact.
//
//   auto ovs = DummyOvs::Start();            // Result
//   ovs->AddBridge("br0", DatapathId{1});
//   ovs->AddPort("br0", "p1", PortNo{1});
//   ovs->Install("br0", compiled);
//   ovs->Inject("p1", Build(Ipv4Packet{...}));
//   auto sent = ovs->WaitSent("p2", 1);
//   EXPECT_THAT(ovs->BadLogLines(), IsEmpty());
//
// Not thread-safe. Everything that was started ends with the object.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ovs-integration/pipeline/compile.h"
#include "schema/base/ids.h"
#include "schema/base/result.h"
#include "tests/support/dummy_ovs/process.h"
#include "tests/support/packets/packets.h"

namespace dyncast::test {

// A packet-in as `ovs-ofctl monitor` prints it.
struct PacketIn {
  std::string text;                             // the whole of it
  std::string userdata;                         // "01.00.05"
  std::map<std::string, std::string> metadata;  // "reg5" -> "0xa000001", "in_port" -> "1"
  size_t data_octets = 0;
};

class DummyOvs {
 public:
  static Result<std::unique_ptr<DummyOvs>> Start();
  ~DummyOvs();
  DummyOvs(const DummyOvs&) = delete;
  DummyOvs& operator=(const DummyOvs&) = delete;

  // Fail-mode secure, OpenFlow 1.5. Its LOCAL port is `name`, and is captured like the others.
  Status AddBridge(const std::string& name, DatapathId dpid);
  Status AddPort(const std::string& bridge, const std::string& name, PortNo number);
  Status DeletePort(const std::string& name);
  // Meters, groups, then all flows in one bundle. Adds to what is there.
  Status Install(const std::string& bridge, const pipeline::Compiled& compiled);
  Status AddFlow(const std::string& bridge, const pipeline::Flow& flow);
  Status DeleteFlows(const std::string& bridge, const std::string& match);
  Status PacketOut(const std::string& bridge, const std::string& in_port, std::span<const uint8_t> packet,
                   const std::string& actions);

  Status Inject(const std::string& port, std::span<const uint8_t> packet);
  // All frames that left through `port` so far.
  std::vector<Bytes> Sent(const std::string& port) const;
  // The first `count` frames, as soon as they are there; kUnavailable after 20 s.
  Result<std::vector<Bytes>> WaitSent(const std::string& port, size_t count) const;

  // Starts to record packet-ins. Call before what should cause them.
  Status Monitor(const std::string& bridge);
  std::vector<PacketIn> PacketIns() const;
  Result<std::vector<PacketIn>> WaitPacketIns(size_t count) const;
  // The text of everything the monitor saw, flow-removed messages too.
  std::string MonitorText() const;

  // Lets `total` of virtual time pass, in steps of at most `step`.
  Status Warp(std::chrono::milliseconds total, std::chrono::milliseconds step = std::chrono::seconds{1});
  // ovs-appctl ofproto/trace.
  Result<std::string> Trace(const std::string& bridge, const std::string& flow);
  // Flows without statistics, one a line; `match` as for ovs-ofctl dump-flows.
  Result<std::vector<std::string>> DumpFlows(const std::string& bridge, const std::string& match = "");
  // With statistics.
  Result<std::string> DumpFlowStats(const std::string& bridge, const std::string& match = "");
  // n_packets of the one flow that has exactly this table, priority and match; counters are brought up to
  // date first.
  Result<uint64_t> Packets(const std::string& bridge, const pipeline::Flow& flow);

  Result<std::string> Vsctl(std::vector<std::string> args);
  Result<std::string> Ofctl(std::vector<std::string> args);
  Result<std::string> Appctl(std::vector<std::string> args);

  // WARN, ERR and EMER lines of both daemons' logs, but for those that contain one of `allowed` or tell
  // only of a slow machine.
  std::vector<std::string> BadLogLines(const std::vector<std::string>& allowed = {});

  const std::string& dir() const { return dir_; }
  std::string database() const { return "unix:" + dir_ + "/db.sock"; }
  std::string Management(const std::string& bridge) const { return "unix:" + dir_ + "/" + bridge + ".mgmt"; }

 private:
  explicit DummyOvs(std::string dir);
  Status StartDaemons();

  std::string dir_;
  Environment environment_;
  std::optional<Process> ovsdb_;
  std::optional<Process> vswitchd_;
  std::optional<Process> monitor_;
};

// The frames of a pcap file (little-endian, microseconds); a last one that is not complete is left out.
std::vector<Bytes> ReadPcap(const std::string& path);

}  // namespace dyncast::test
