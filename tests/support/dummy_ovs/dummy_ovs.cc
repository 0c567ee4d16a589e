#include "tests/support/dummy_ovs/dummy_ovs.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace dyncast::test {
namespace {

constexpr const char* kSchema = "/usr/share/openvswitch/vswitch.ovsschema";

// A machine that is slow or stopped for a while says so in these, and so does one whose time we warp.
const std::vector<std::string> kSlowMachine = {
    "Unreasonably long", "context switches:",          "faults: ", "disk: ",
    "Dropped ",          "waiting for main to quiesce"};

// Whether somebody listens at a unix socket. Its file is there before: a daemon binds first.
bool Listens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  path.copy(address.sun_path, path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool listens = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return listens;
}

Status Only(const Result<std::string>& result) {
  if (!result.ok()) return result.error();
  return Ok();
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

bool ContainsAny(const std::string& line, const std::vector<std::string>& parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](const std::string& part) { return line.find(part) != std::string::npos; });
}

// Lines of `ovs-ofctl monitor`: a packet-in begins with NXT_PACKET_IN2, its continuation with a blank.
std::vector<PacketIn> ParsePacketIns(const std::string& text) {
  std::vector<PacketIn> found;
  bool inside = false;
  for (const std::string& line : Lines(text)) {
    if (line.rfind("NXT_PACKET_IN2", 0) == 0) {
      inside = true;
      PacketIn packet;
      std::string flat = line;
      std::replace(flat.begin(), flat.end(), ',', ' ');
      std::istringstream words(flat);
      for (std::string word; words >> word;) {
        const size_t equals = word.find('=');
        if (equals == std::string::npos) continue;
        packet.metadata[word.substr(0, equals)] = word.substr(equals + 1);
      }
      packet.data_octets = std::strtoul(packet.metadata["data_len"].c_str(), nullptr, 10);
      found.push_back(packet);
    } else if (line.find("(OF1.") != std::string::npos) {
      inside = false;  // some other message
    }
    if (!inside) continue;
    found.back().text += line + "\n";
    const size_t at = line.find("userdata=");
    if (at != std::string::npos) found.back().userdata = line.substr(at + 9);
  }
  return found;
}

}  // namespace

std::vector<Bytes> ReadPcap(const std::string& path) {
  const std::string file = ReadFile(path);
  std::vector<Bytes> frames;
  size_t at = 24;
  while (at + 16 <= file.size()) {
    uint32_t octets = 0;
    std::memcpy(&octets, file.data() + at + 8, sizeof octets);
    at += 16;
    if (octets > file.size() - at) break;
    frames.emplace_back(file.begin() + static_cast<std::ptrdiff_t>(at),
                        file.begin() + static_cast<std::ptrdiff_t>(at + octets));
    at += octets;
  }
  return frames;
}

DummyOvs::DummyOvs(std::string dir) : dir_(std::move(dir)) {
  for (const char* name : {"OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"}) {
    environment_.emplace_back(name, dir_);
  }
}

DummyOvs::~DummyOvs() {
  monitor_.reset();
  vswitchd_.reset();
  ovsdb_.reset();
  if (std::getenv("DYNCAST_KEEP_OVS") != nullptr) return;  // for a look at the logs
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

Result<std::unique_ptr<DummyOvs>> DummyOvs::Start() {
  std::string dir = "/tmp/dyncast-ovs-XXXXXX";  // short: a socket's path holds 107 octets
  if (mkdtemp(dir.data()) == nullptr) return MakeError(Errc::kIo, dir + ": " + std::strerror(errno));
  std::unique_ptr<DummyOvs> ovs(new DummyOvs(dir));
  if (Status started = ovs->StartDaemons(); !started.ok()) {
    Error error = started.error();
    error.message += "\n" + ReadFile(dir + "/ovsdb-server.out") + ReadFile(dir + "/ovs-vswitchd.out");
    return error;
  }
  return ovs;
}

Status DummyOvs::StartDaemons() {
  if (Status made = Only(Run({"ovsdb-tool", "create", dir_ + "/conf.db", kSchema}, environment_));
      !made.ok()) {
    return made;
  }
  const auto common = [this](const std::string& name) {
    return std::vector<std::string>{"--unixctl=" + dir_ + "/" + name + ".ctl",
                                    "--log-file=" + dir_ + "/" + name + ".log",
                                    "--pidfile=" + dir_ + "/" + name + ".pid",
                                    "--no-chdir",
                                    "-vconsole:off",
                                    "-vsyslog:off",
                                    "-vfile:info"};
  };
  std::vector<std::string> args = {"ovsdb-server", dir_ + "/conf.db", "--remote=punix:" + dir_ + "/db.sock"};
  for (const std::string& arg : common("ovsdb-server")) args.push_back(arg);
  Result<Process> ovsdb = Process::Start(args, environment_, dir_ + "/ovsdb-server.out");
  if (!ovsdb.ok()) return ovsdb.error();
  ovsdb_.emplace(std::move(*ovsdb));
  if (!Eventually([&] { return Listens(dir_ + "/db.sock"); })) {
    return MakeError(Errc::kUnavailable, "ovsdb-server did not come up");
  }
  if (Status ready = Only(Vsctl({"--no-wait", "init"})); !ready.ok()) return ready;

  args = {"ovs-vswitchd", database(), "--enable-dummy", "--disable-system"};
  for (const std::string& arg : common("ovs-vswitchd")) args.push_back(arg);
  Result<Process> vswitchd = Process::Start(args, environment_, dir_ + "/ovs-vswitchd.out");
  if (!vswitchd.ok()) return vswitchd.error();
  vswitchd_.emplace(std::move(*vswitchd));
  if (!Eventually([&] { return Listens(dir_ + "/ovs-vswitchd.ctl"); })) {
    return MakeError(Errc::kUnavailable, "ovs-vswitchd did not come up");
  }
  return Only(Appctl({"time/stop"}));
}

Result<std::string> DummyOvs::Vsctl(std::vector<std::string> args) {
  args.insert(args.begin(), {"ovs-vsctl", "--db=" + database(), "--timeout=20"});
  return Run(args, environment_);
}

Result<std::string> DummyOvs::Ofctl(std::vector<std::string> args) {
  args.insert(args.begin(), {"ovs-ofctl", "-O", "OpenFlow15", "--timeout=20"});
  return Run(args, environment_);
}

Result<std::string> DummyOvs::Appctl(std::vector<std::string> args) {
  args.insert(args.begin(), {"ovs-appctl", "--timeout=60", "--target=" + dir_ + "/ovs-vswitchd.ctl"});
  return Run(args, environment_);
}

Status DummyOvs::AddBridge(const std::string& name, DatapathId dpid) {
  std::ostringstream id;
  id << std::hex << std::uppercase;
  id.width(16);
  id.fill('0');
  id << dpid.value();
  return Only(Vsctl({"add-br", name, "--", "set", "bridge", name, "datapath_type=dummy", "fail-mode=secure",
                     "protocols=OpenFlow15", "other-config:datapath-id=" + id.str(), "--", "set", "interface",
                     name, "options:tx_pcap=" + dir_ + "/" + name + ".pcap"}));
}

Status DummyOvs::AddPort(const std::string& bridge, const std::string& name, PortNo number) {
  return Only(Vsctl({"add-port", bridge, name, "--", "set", "interface", name, "type=dummy",
                     "ofport_request=" + std::to_string(number.value()),
                     "options:tx_pcap=" + dir_ + "/" + name + ".pcap"}));
}

Status DummyOvs::DeletePort(const std::string& name) { return Only(Vsctl({"del-port", name})); }

Status DummyOvs::Install(const std::string& bridge, const pipeline::Compiled& compiled) {
  for (const pipeline::Meter& meter : compiled.meters) {
    if (Status added = Only(Ofctl({"add-meter", Management(bridge), pipeline::ToText(meter)})); !added.ok()) {
      return added;
    }
  }
  if (!compiled.groups.empty()) {  // before the flows that refer to them
    std::ofstream groups(dir_ + "/groups.txt", std::ios::trunc);
    for (const pipeline::Group& group : compiled.groups) groups << pipeline::ToText(group) << "\n";
    groups.close();
    Status added = Only(Ofctl({"--bundle", "add-groups", Management(bridge), dir_ + "/groups.txt"}));
    if (!added.ok()) return added;
  }
  const std::string path = dir_ + "/flows.txt";
  std::ofstream file(path, std::ios::trunc);
  for (const pipeline::Flow& flow : compiled.flows) file << pipeline::ToText(flow) << "\n";
  file.close();
  return Only(Ofctl({"--bundle", "add-flows", Management(bridge), path}));
}

Status DummyOvs::AddFlow(const std::string& bridge, const pipeline::Flow& flow) {
  return Only(Ofctl({"add-flow", Management(bridge), pipeline::ToText(flow)}));
}

Status DummyOvs::DeleteFlows(const std::string& bridge, const std::string& match) {
  return Only(Ofctl({"del-flows", Management(bridge), match}));
}

Status DummyOvs::PacketOut(const std::string& bridge, const std::string& in_port,
                           std::span<const uint8_t> packet, const std::string& actions) {
  return Only(Ofctl({"packet-out", Management(bridge),
                     "in_port=" + in_port + ",packet=" + ToHex(packet) + ",actions=" + actions}));
}

Status DummyOvs::Inject(const std::string& port, std::span<const uint8_t> packet) {
  return Only(Appctl({"netdev-dummy/receive", port, ToHex(packet)}));
}

std::vector<Bytes> DummyOvs::Sent(const std::string& port) const {
  return ReadPcap(dir_ + "/" + port + ".pcap");
}

Result<std::vector<Bytes>> DummyOvs::WaitSent(const std::string& port, size_t count) const {
  if (!Eventually([&] { return Sent(port).size() >= count; })) {
    return MakeError(Errc::kUnavailable, "port " + port + " sent " + std::to_string(Sent(port).size()) +
                                             " frames, not " + std::to_string(count));
  }
  return Sent(port);
}

Status DummyOvs::Monitor(const std::string& bridge) {
  const std::string control = dir_ + "/monitor.ctl";
  Result<Process> monitor = Process::Start({"ovs-ofctl", "-O", "OpenFlow15", "-P", "nxt_packet_in2",
                                            "--unixctl=" + control, "monitor", Management(bridge), "65534"},
                                           environment_, dir_ + "/monitor.out");
  if (!monitor.ok()) return monitor.error();
  monitor_.emplace(std::move(*monitor));
  if (!Eventually([&] { return Listens(control); })) {
    return MakeError(Errc::kUnavailable, "ovs-ofctl monitor did not come up");
  }
  return Only(Run({"ovs-appctl", "--timeout=20", "--target=" + control, "ofctl/barrier"}, environment_));
}

std::string DummyOvs::MonitorText() const { return ReadFile(dir_ + "/monitor.out"); }

std::vector<PacketIn> DummyOvs::PacketIns() const { return ParsePacketIns(MonitorText()); }

Result<std::vector<PacketIn>> DummyOvs::WaitPacketIns(size_t count) const {
  if (!Eventually([&] { return PacketIns().size() >= count; })) {
    return MakeError(Errc::kUnavailable, std::to_string(PacketIns().size()) + " packet-ins, not " +
                                             std::to_string(count) + ":\n" + MonitorText());
  }
  return PacketIns();
}

Status DummyOvs::Warp(std::chrono::milliseconds total, std::chrono::milliseconds step) {
  return Only(Appctl({"time/warp", std::to_string(total.count()), std::to_string(step.count())}));
}

Result<std::string> DummyOvs::Trace(const std::string& bridge, const std::string& flow) {
  return Appctl({"ofproto/trace", bridge, flow});
}

Result<std::vector<std::string>> DummyOvs::DumpFlows(const std::string& bridge, const std::string& match) {
  Result<std::string> dump = Ofctl({"--no-stats", "dump-flows", Management(bridge), match});
  if (!dump.ok()) return dump.error();
  std::vector<std::string> flows;
  for (const std::string& line : Lines(*dump)) {
    if (line.front() == ' ') flows.push_back(line.substr(1));
  }
  return flows;
}

Result<std::string> DummyOvs::DumpFlowStats(const std::string& bridge, const std::string& match) {
  // The revalidators bring the datapath's counters into the tables.
  if (Result<std::string> pushed = Appctl({"revalidator/purge"}); !pushed.ok()) return pushed;
  return Ofctl({"dump-flows", Management(bridge), match});
}

Result<uint64_t> DummyOvs::Packets(const std::string& bridge, const pipeline::Flow& flow) {
  Result<std::string> dump = DumpFlowStats(
      bridge, "table=" + std::to_string(flow.table) + (flow.match.empty() ? "" : ",") + flow.match);
  if (!dump.ok()) return dump.error();
  std::optional<uint64_t> packets;
  for (const std::string& line : Lines(*dump)) {
    const size_t at = line.find("n_packets=");
    const std::string priority = "priority=" + std::to_string(flow.priority);
    const bool same =
        line.find(priority + ",") != std::string::npos || line.find(priority + " ") != std::string::npos;
    if (at == std::string::npos || !same) continue;
    if (packets) return MakeError(Errc::kConflict, "more than one flow:\n" + *dump);
    packets = std::strtoull(line.c_str() + at + 10, nullptr, 10);
  }
  if (!packets) return MakeError(Errc::kNotFound, pipeline::ToText(flow) + " is not among\n" + *dump);
  return *packets;
}

std::vector<std::string> DummyOvs::BadLogLines(const std::vector<std::string>& allowed) {
  (void)Appctl({"vlog/reopen"});  // lines are written by a thread: this waits for it
  std::vector<std::string> bad;
  for (const char* name : {"ovsdb-server", "ovs-vswitchd"}) {
    for (const std::string& line : Lines(ReadFile(dir_ + "/" + name + ".log"))) {
      if (!ContainsAny(line, {"|WARN|", "|ERR|", "|EMER|"})) continue;
      if (!ContainsAny(line, kSlowMachine) && !ContainsAny(line, allowed)) bad.push_back(line);
    }
  }
  return bad;
}

}  // namespace dyncast::test
