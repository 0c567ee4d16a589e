#include "tests/ovs/pipeline/learn_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace dyncast::test {
namespace {

constexpr const char* kClientMac = "0a:00:00:00:0a:07";
constexpr const char* kServerMac = "0a:00:00:00:01:0b";

}  // namespace

bool LearnTest::Works(const Status& status) {
  EXPECT_TRUE(status.ok()) << status.error().ToString();
  return status.ok();
}

void LearnTest::SetUp() {
  Result<std::unique_ptr<DummyOvs>> started = DummyOvs::Start();
  ASSERT_TRUE(started.ok()) << started.error().ToString();
  ovs = std::move(*started);
  ASSERT_TRUE(Works(ovs->AddBridge("br0", DatapathId{1})));
  for (const PlannedPort& port : plan.ports) {
    if (port.name == "br0") continue;  // LOCAL
    ASSERT_TRUE(Works(ovs->AddPort("br0", port.name, port.number)));
  }
  Prepare();
  if (HasFatalFailure()) return;
  Install();
  // Neighbours: everyone behind a port has the same MAC. How they are learned is tested elsewhere.
  const auto neighbours = [&](const std::string& match, const char* mac, int port) {
    return pipeline::Flow{.table = static_cast<uint8_t>(pipeline::Table::kNeighbor),
                          .priority = 100,
                          .match = match,
                          .actions = std::string("set_field:") + mac +
                                     "->eth_dst,set_field:" + std::to_string(port) + "->reg3"};
  };
  ASSERT_TRUE(Works(ovs->AddFlow("br0", neighbours("ip,reg5=0xc0a80000/0xffff0000", kClientMac, 1))));
  ASSERT_TRUE(Works(ovs->AddFlow("br0", neighbours("ip,reg5=0x0a020000/0xffff0000", kServerMac, 2))));
  ASSERT_TRUE(Works(ovs->AddFlow(
      "br0", neighbours("ipv6,xxreg3=0xfd100000000000000000000000000000/0xffff0000000000000000000000000000",
                        kClientMac, 1))));
  ASSERT_TRUE(Works(ovs->AddFlow(
      "br0", neighbours("ipv6,xxreg3=0xfd020000000000000000000000000000/0xffff0000000000000000000000000000",
                        kServerMac, 2))));
}

void LearnTest::TearDown() {
  if (ovs == nullptr) return;
  EXPECT_THAT(ovs->BadLogLines(), testing::IsEmpty());
}

void LearnTest::Install() {
  Result<pipeline::Compiled> result = pipeline::Compile(plan);
  ASSERT_TRUE(result.ok()) << result.error().ToString();
  const pipeline::Compiled before = std::move(compiled);
  compiled = std::move(*result);
  if (before.flows.empty()) {
    ASSERT_TRUE(Works(ovs->Install("br0", compiled)));
    return;
  }
  // One bundle of the differences, as a session sends it.
  const std::string path = ovs->dir() + "/change.txt";
  std::ofstream change(path, std::ios::trunc);
  for (const pipeline::Group& group : compiled.groups) {
    const auto same = std::find(before.groups.begin(), before.groups.end(), group);
    if (same == before.groups.end()) change << "group add_or_mod " << pipeline::ToText(group) << "\n";
  }
  for (const pipeline::Flow& flow : compiled.flows) {
    const auto same = std::find(before.flows.begin(), before.flows.end(), flow);
    if (same == before.flows.end()) change << "flow add " << pipeline::ToText(flow) << "\n";
  }
  for (const pipeline::Flow& flow : before.flows) {
    const bool stays = std::any_of(compiled.flows.begin(), compiled.flows.end(), [&](const auto& other) {
      return other.table == flow.table && other.priority == flow.priority && other.match == flow.match;
    });
    if (stays) continue;
    change << "flow delete_strict table=" << int{flow.table} << ",priority=" << flow.priority
           << (flow.match.empty() ? "" : ",") << flow.match << "\n";
  }
  change.close();
  const Result<std::string> done = ovs->Ofctl({"bundle", ovs->Management("br0"), path});
  ASSERT_TRUE(done.ok()) << done.error().ToString();
  Settle();
}

void LearnTest::Settle() { EXPECT_TRUE(ovs->Appctl({"revalidator/wait"}).ok()); }

PlannedService& LearnTest::Service(uint16_t id) {
  const auto found = std::find_if(plan.services.begin(), plan.services.end(),
                                  [&](const PlannedService& s) { return s.id.value() == id; });
  EXPECT_NE(found, plan.services.end());
  return *found;
}

void LearnTest::EraseInstance(InstanceId id) {
  std::erase_if(plan.instances, [&](const PlannedInstance& instance) { return instance.id == id; });
  for (PlannedService& service : plan.services) {
    for (std::vector<InstanceId>* slots : {&service.slots_v4, &service.slots_v6}) {
      const auto other = std::find_if(slots->begin(), slots->end(), [&](InstanceId i) { return i != id; });
      if (other != slots->end()) std::replace(slots->begin(), slots->end(), id, InstanceId{*other});
    }
  }
}

DemandFrame LearnTest::Demand4(uint16_t service) const {
  DemandFrame frame;
  frame.src = Ip("192.168.10.7");
  frame.dst = Ip("10.97.0." + std::to_string(service));
  return frame;
}

DemandFrame LearnTest::Demand6(uint16_t service) const {
  DemandFrame frame;
  frame.src = Ip("fd10::10:7");
  frame.dst = Ip("fd97::" + std::to_string(service));
  return frame;
}

DemandFrame LearnTest::Answer(const DemandFrame& demand, const IpAddress& bid) const {
  DemandFrame frame = demand;
  frame.eth_src = Mac(kServerMac);
  frame.eth_dst = plan.ports[1].mac;
  frame.src = bid;
  frame.dst = demand.src;
  frame.src_port = demand.dst_port;
  frame.dst_port = demand.src_port;
  frame.tcp_flags = 0x12;
  frame.reply = true;
  return frame;
}

BindingKey LearnTest::KeyOf(uint16_t service, const DemandFrame& demand) {
  const bool ports = demand.proto != IpProto::kIcmp;
  return MakeBindingKey(Service(service).spec.affinity, plan.id, ServiceId{service},
                        {.client = demand.src,
                         .sid = demand.dst,
                         .proto = demand.proto,
                         .src_port = ports ? demand.src_port : uint16_t{0},
                         .dst_port = ports ? demand.dst_port : uint16_t{0}});
}

InstanceId LearnTest::Predicted(uint16_t service, const DemandFrame& demand) {
  const PlannedService& planned = Service(service);
  const std::vector<InstanceId>& slots = demand.src.is_v4() ? planned.slots_v4 : planned.slots_v6;
  return slots.at(pipeline::SlotOf(KeyOf(service, demand), slots.size()));
}

IpAddress LearnTest::BidOf(InstanceId id) const {
  for (const PlannedInstance& instance : plan.instances) {
    if (instance.id == id) return instance.bid;
  }
  return {};
}

uint64_t LearnTest::Received(const std::string& port) {
  const Result<std::string> stats = ovs->Ofctl({"dump-ports", ovs->Management("br0"), port});
  EXPECT_TRUE(stats.ok());
  const size_t at = stats.ok() ? stats->find("rx pkts=") : std::string::npos;
  return at == std::string::npos ? 0 : std::strtoull(stats->c_str() + at + 8, nullptr, 10);
}

void LearnTest::InjectAll(const std::string& port, const std::vector<Bytes>& frames) {
  constexpr size_t kQueue = 100;  // what a dummy port takes in; it drops what is more
  const uint64_t before = frames.size() > kQueue ? Received(port) : 0;
  for (size_t at = 0; at < frames.size(); at += kQueue) {
    if (at > 0) {
      ASSERT_TRUE(Eventually([&] { return Received(port) >= before + at; }));
    }
    std::vector<std::string> receive = {"netdev-dummy/receive", port};
    for (size_t i = at; i < std::min(frames.size(), at + kQueue); ++i) receive.push_back(ToHex(frames[i]));
    const Result<std::string> done = ovs->Appctl(receive);
    ASSERT_TRUE(done.ok()) << done.error().ToString();
  }
}

IpAddress LearnTest::SendDemand(const DemandFrame& demand) {
  const size_t before = ovs->Sent("edge").size();
  InjectAll("acc", {Build(demand)});
  const Result<std::vector<Bytes>> sent = ovs->WaitSent("edge", before + 1);
  EXPECT_TRUE(sent.ok()) << sent.error().ToString();
  if (!sent.ok()) return {};
  EXPECT_EQ(sent->size(), before + 1);
  EXPECT_TRUE(TransportChecksumRight(sent->back()));
  EXPECT_EQ(SourceOf(sent->back()), demand.src);
  return DestinationOf(sent->back());
}

IpAddress LearnTest::SendAnswer(const DemandFrame& answer) {
  const size_t before = ovs->Sent("acc").size();
  InjectAll("edge", {Build(answer)});
  const Result<std::vector<Bytes>> sent = ovs->WaitSent("acc", before + 1);
  EXPECT_TRUE(sent.ok()) << sent.error().ToString();
  if (!sent.ok()) return {};
  EXPECT_TRUE(TransportChecksumRight(sent->back()));
  EXPECT_EQ(DestinationOf(sent->back()), answer.dst);
  return SourceOf(sent->back());
}

std::vector<std::string> LearnTest::Bindings(const std::string& match) {
  Result<std::vector<std::string>> flows = ovs->DumpFlows("br0", match);
  EXPECT_TRUE(flows.ok());
  return flows.ok() ? *flows : std::vector<std::string>{};
}

}  // namespace dyncast::test
