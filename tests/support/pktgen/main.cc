// dyncast-pktgen: new and established flows to an anycast address, over AF_PACKET, counted exactly where they
// arrive.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/pktgen/packet_port.h"
#include "tests/support/pktgen/report.h"
#include "tests/support/pktgen/traffic.h"

namespace dyncast::pktgen {
namespace {

struct Arguments {
  Setup setup;
  Questions questions;
  Stream main;
  double new_rate = 0;
  uint64_t new_first_flow = 0;
  uint32_t new_flows = 0;
  std::string group = "5-tuple";
  std::string gateway;
  std::string gateway_mac;
  std::string sid;
  std::string first_client;
  std::vector<std::string> receivers;
  bool answer = false;
  bool clients_first = false;
  bool no_neighbours = false;
  std::string json;
};

IpAddress AddressOf(const std::string& text, const char* option) {
  const auto address = IpAddress::Parse(text);
  if (!address.ok()) {
    Fail(std::string(option) + ": " + address.error().ToString());
  }
  return address.value();
}

uint32_t NumberOf(const std::string& text, uint32_t least, uint32_t most, const std::string& what) {
  char* end = nullptr;
  const unsigned long value = std::strtoul(text.c_str(), &end, 10);
  if (text.empty() || *end != 0 || value < least || value > most) {
    Fail(what + " '" + text + "' must be " + std::to_string(least) + ".." + std::to_string(most));
  }
  return static_cast<uint32_t>(value);
}

// NAME=NAMESPACE:INTERFACE[,ADDRESS...][,vlan=V][,count=N]; count: N receivers NAME0.., addresses in a row.
void AddReceivers(const std::string& text, std::vector<Receiver>* out) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    Fail("--receiver '" + text + "' must be NAME=NAMESPACE:INTERFACE[,ADDRESS...][,vlan=V][,count=N]");
  }
  Receiver receiver{.name = text.substr(0, equals), .where = {}, .addresses = {}, .vlan = 0};
  uint32_t count = 0;
  std::istringstream parts(text.substr(equals + 1));
  std::getline(parts, receiver.where, ',');
  for (std::string part; std::getline(parts, part, ',');) {
    if (part.starts_with("vlan=")) {
      receiver.vlan = static_cast<uint16_t>(NumberOf(part.substr(5), 1, 4094, "VLAN"));
    } else if (part.starts_with("count=")) {
      count = NumberOf(part.substr(6), 1, 4096, "count");
    } else {
      receiver.addresses.push_back(AddressOf(part, "--receiver"));
    }
  }
  for (uint32_t i = 0; i < std::max(count, 1u); ++i) {
    Receiver one = receiver;
    for (IpAddress& address : one.addresses) {
      address = Plus(address, i);
    }
    one.name += count == 0 ? "" : std::to_string(i);
    out->push_back(one);
  }
}

void SetGroup(const std::string& text, Questions* questions) {
  static const std::map<std::string, GroupKind> kinds = {{"5-tuple", GroupKind::k5Tuple},
                                                         {"4-tuple", GroupKind::k4Tuple},
                                                         {"3-tuple", GroupKind::k3Tuple},
                                                         {"client", GroupKind::kClient}};
  const size_t slash = text.find('/');
  const auto kind = kinds.find(text.substr(0, slash));
  if (kind == kinds.end() || (slash != std::string::npos && kind->second != GroupKind::kClient)) {
    Fail("--group '" + text + "' must be 5-tuple, 4-tuple, 3-tuple, client or client/PREFIX");
  }
  questions->group = kind->second;
  if (slash != std::string::npos) {
    questions->group_prefix = static_cast<uint8_t>(NumberOf(text.substr(slash + 1), 0, 128, "prefix"));
  }
}

void AddOptions(CLI::App* app, Arguments* a) {
  static const std::map<std::string, Transport> transports = {{"udp", Transport::kUdp},
                                                              {"tcp", Transport::kTcp},
                                                              {"sctp", Transport::kSctp},
                                                              {"icmp", Transport::kIcmp}};
  FlowSpace& space = a->setup.space;
  app->add_option("--client", a->setup.client, "NAMESPACE:INTERFACE that packets leave from ('-': this one)")
      ->required();
  app->add_option("--receiver", a->receivers,
                  "NAME=NAMESPACE:INTERFACE[,ADDRESS...][,vlan=V][,count=N]; repeatable")
      ->required()
      ->delimiter(';');
  app->add_option("--sid", a->sid, "destination address")->required();
  app->add_option("--proto", space.transport, "udp, tcp, sctp or icmp")
      ->transform(CLI::CheckedTransformer(transports));
  app->add_option("--port", space.first_port, "first destination port");
  app->add_option("--ports", space.ports, "destination ports in a row")->check(CLI::Range(1, 65535));
  app->add_option("--first-client", a->first_client, "address of the first client")->required();
  app->add_option("--clients", space.clients, "clients")->check(CLI::Range(1u, 1u << 24));
  app->add_option("--client-step", space.client_step, "addresses from one client to the next")
      ->check(CLI::Range(1u, 1u << 24));
  app->add_option("--source-port", space.first_source_port, "first source port (icmp: identifier)");
  app->add_option("--source-ports", space.source_ports, "source ports in a row")->check(CLI::Range(1, 65535));
  app->add_flag("--clients-first", a->clients_first,
                "the next flow is of the next client; else of the next port");
  app->add_option("--first-flow", a->main.first_flow, "number of the first flow used");
  app->add_option("--flows", a->main.flows, "flows")->check(CLI::Range(1u, 1u << 26))->required();
  app->add_option("--rate", a->main.rate_per_s, "packets per second; 0: no limit")
      ->check(CLI::Range(0.0, 1e7));
  app->add_option("--window", a->main.window, "most packets under way; 0: no limit")
      ->check(CLI::Range(0u, 65536u));
  app->add_option("--seconds", a->main.seconds, "sending ends then")->check(CLI::Range(0.001, 3600.0));
  app->add_option("--gateway", a->gateway, "address of the next hop, found by ARP or ND");
  app->add_option("--gateway-mac", a->gateway_mac, "or its MAC");
  app->add_option("--announce", a->setup.announce, "clients that ask for the gateway first")
      ->check(CLI::Range(0u, 65536u));
  app->add_option("--vlan", a->setup.client_vlan, "tag of the client's packets")->check(CLI::Range(1, 4094));
  app->add_option("--padding", a->setup.padding_bytes, "zeros after the stamp, octets")
      ->check(CLI::Range(0, 1440));
  app->add_option("--ttl", a->setup.ttl, "TTL or hop limit")->check(CLI::Range(1, 255));
  app->add_flag("--answer", a->answer, "receivers answer; else they only count");
  app->add_flag("--no-neighbours", a->no_neighbours, "do not answer ARP and ND for clients and receivers");
  app->add_option("--wait", a->setup.wait_s, "for late packets, seconds after the last")
      ->check(CLI::Range(0.0, 60.0));
  app->add_option("--group", a->group, "affinity key to count in groups_split");
  app->add_option("--map", a->questions.map_file, "write the instance of each flow");
  app->add_option("--expect", a->questions.expect_file, "compare with an earlier map");
  app->add_option("--json", a->json, "write the report there; else to stdout");
}

void Finish(Arguments* a) {
  Setup& setup = a->setup;
  setup.space.sid = AddressOf(a->sid, "--sid");
  setup.space.first_client = AddressOf(a->first_client, "--first-client");
  setup.space.order = a->clients_first ? FlowOrder::kClientsFirst : FlowOrder::kPortsFirst;
  if (setup.space.sid.is_v4() != setup.space.first_client.is_v4()) {
    Fail("--sid and --first-client must be of one family");
  }
  if (!a->gateway.empty()) {
    setup.gateway = AddressOf(a->gateway, "--gateway");
  }
  if (!a->gateway_mac.empty()) {
    const auto mac = MacAddress::Parse(a->gateway_mac);
    if (!mac.ok()) {
      Fail("--gateway-mac: " + mac.error().ToString());
    }
    setup.gateway_mac = mac.value();
  }
  if (uint32_t{setup.space.first_port} + setup.space.ports > 65536 ||
      uint32_t{setup.space.first_source_port} + setup.space.source_ports > 65536) {
    Fail("ports must end at 65535");
  }
  for (const std::string& text : a->receivers) {
    AddReceivers(text, &setup.receivers);
  }
  if (setup.receivers.size() >= kNobody) {
    Fail("too many receivers");
  }
  SetGroup(a->group, &a->questions);
  setup.answering = a->answer ? Answering::kAnswer : Answering::kCount;
  setup.neighbours = a->no_neighbours ? Neighbours::kSilent : Neighbours::kAnswer;
  setup.streams.push_back(a->main);
  if (a->new_rate > 0) {
    const auto flows =
        a->new_flows != 0 ? a->new_flows : static_cast<uint32_t>(a->new_rate * a->main.seconds) + 1;
    setup.streams.push_back({.name = "new",
                             .pattern = Pattern::kOnce,
                             .first_flow = a->new_first_flow,
                             .flows = flows,
                             .packets_per_flow = 1,
                             .rate_per_s = a->new_rate,
                             .window = 0,
                             .seconds = a->main.seconds,
                             .tcp_flags = TcpFlags::kSyn});
  }
  for (const Stream& stream : setup.streams) {
    if (stream.first_flow + stream.flows > setup.space.size()) {
      Fail("flows " + std::to_string(stream.first_flow) + ".." +
           std::to_string(stream.first_flow + stream.flows - 1) + " of " + stream.name +
           ", but --clients, --source-ports and --ports give only " + std::to_string(setup.space.size()));
    }
  }
}

int Main(int argc, char** argv) {
  Arguments a;
  CLI::App app{"New and established flows to an anycast address, counted exactly where they arrive."};
  app.set_version_flag("--version", DYNCAST_VERSION);
  app.require_subcommand(1);
  CLI::App* fresh = app.add_subcommand("new", "each flow once");
  AddOptions(fresh, &a);
  fresh->add_option("--packets-per-flow", a.main.packets_per_flow, "back to back")
      ->check(CLI::Range(1u, 65536u));
  CLI::App* established = app.add_subcommand("established", "all flows in turn, again and again");
  AddOptions(established, &a);
  established->add_option("--new-rate", a.new_rate, "new flows per second beside them")
      ->check(CLI::Range(0.0, 1e6));
  established->add_option("--new-first-flow", a.new_first_flow, "number of the first of these");
  established->add_option("--new-flows", a.new_flows, "how many of these at most; 0: rate times seconds");
  CLI11_PARSE(app, argc, argv);
  const bool once = fresh->parsed();
  a.main.name = once ? "new" : "established";
  a.main.pattern = once ? Pattern::kOnce : Pattern::kRoundRobin;
  a.main.tcp_flags = once ? TcpFlags::kSyn : TcpFlags::kAck;
  Finish(&a);
  StopOnSignals();
  const std::string report = Report(a.setup, Execute(a.setup), a.questions).dump(1) + "\n";
  if (a.json.empty()) {
    std::fputs(report.c_str(), stdout);
    return 0;
  }
  std::ofstream out(a.json);
  out << report << std::flush;
  return out.good() ? 0 : 1;
}

}  // namespace
}  // namespace dyncast::pktgen

int main(int argc, char** argv) { return dyncast::pktgen::Main(argc, argv); }
