// dyncast-echo-controller: the switch sessions without a controller behind them. Each demand is bound to one
// instance and forwarded. With dyncast-fake-switch it shows what the sessions alone cost.
//
// usage: dyncast-echo-controller LISTEN SECONDS [SWITCHES]     LISTEN as "ptcp:6653:127.0.0.1"
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

#include "ovs-integration/openflow/loop.h"
#include "ovs-integration/openflow/switch_server.h"
#include "ovs-integration/pipeline/packet.h"
#include "schema/base/log.h"

namespace {

using namespace dyncast;  // NOLINT: a program of one file

class Echo : public openflow::Listener {
 public:
  explicit Echo(openflow::SwitchServer** server) : server_(server) {}
  void OnFound(DatapathId dpid, openflow::FoundSwitch) override {
    pipeline::Compiled desired;
    desired.flows.push_back(
        {.table = 0,
         .priority = 1,
         .cookie = pipeline::EncodeCookie(
             {.kind = pipeline::FlowKind::kStatic, .service = {}, .instance = {}, .at = SwitchId{1}}),
         .match = "ip",
         .actions = "drop"});
    if (!(*server_)->SetDesired(dpid, desired)) std::abort();
  }
  void OnLearned(DatapathId, std::span<const FoundBinding> bindings) override { learned += bindings.size(); }
  void OnMonitorGap(DatapathId) override {}
  void OnSynced(DatapathId, const openflow::SyncReport&) override {}
  void OnLost(DatapathId, const std::string&) override {}
  void OnPunt(DatapathId dpid, const openflow::Punt& punt) override {
    const auto packet = pipeline::ParsePacket(punt.packet);
    if (!packet) return;
    ++punts;
    const InstanceId instance{7};
    (*server_)->ForwardDemand(dpid, punt.in_port, punt.service, instance, punt.packet);
    (*server_)->InstallBinding(dpid, {.key = {.client = packet->demand.client,
                                              .src_port = packet->demand.src_port,
                                              .dst_port = packet->demand.dst_port,
                                              .service = punt.service,
                                              .at = SwitchId{1},
                                              .proto = packet->demand.proto},
                                      .instance = instance});
  }
  void OnBindingEnded(DatapathId, const FoundBinding&, EndReason) override {}
  void OnBindingRefused(DatapathId, const BindingKey&, const std::string&) override {}
  void OnUnboundCounted(DatapathId, std::vector<UnboundPackets>) override {}
  void OnPortsCounted(DatapathId, std::vector<PortCounters>) override {}
  void OnCounted(DatapathId, std::vector<FoundBinding>) override {}
  void OnChecked(DatapathId, uint64_t, const openflow::SyncReport&, std::vector<FoundBinding>) override {}

  uint64_t punts = 0;
  uint64_t learned = 0;

 private:
  openflow::SwitchServer** server_;
};

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto s = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return s(usage.ru_utime) + s(usage.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: dyncast-echo-controller LISTEN SECONDS [SWITCHES]\n", stderr);
    return 2;
  }
  openflow::InitLibrary("dyncast-echo-controller");
  openflow::SwitchServer* where = nullptr;
  Echo echo(&where);
  openflow::SwitchServer server({}, &echo);
  where = &server;
  std::vector<DatapathId> expected;
  for (int i = 1; i <= (argc > 3 ? std::atoi(argv[3]) : 1); ++i)
    expected.emplace_back(static_cast<uint64_t>(i));
  server.SetExpected(expected);
  if (const Status listening = server.Listen(argv[1]); !listening) {
    std::fprintf(stderr, "%s\n", listening.error().ToString().c_str());
    return 1;
  }
  const double before = CpuSeconds();
  const MonoTime end = ReadClocks().mono + std::chrono::seconds(std::atoi(argv[2]));
  while (true) {
    const Now now = ReadClocks();
    if (now.mono >= end) break;
    server.Run(now);
    server.Wait(now);
    openflow::WakeAt(end);
    openflow::Block();
  }
  const double cpu = CpuSeconds() - before;
  std::printf("{\"demands\": %llu, \"learned\": %llu, \"cpu_seconds\": %.3f, \"cpu_us_per_demand\": %.2f}\n",
              static_cast<unsigned long long>(echo.punts), static_cast<unsigned long long>(echo.learned), cpu,
              echo.punts == 0 ? 0 : cpu * 1e6 / static_cast<double>(echo.punts));
  return 0;
}
