// Octets of a switch into a session in each of its states. The first octet chooses the state and how the rest
// is cut; the rest is what the switch sends. Nothing may crash, read out of bounds, or grow without end. With
// 32 in the first octet the rest is one reply about ports, whatever its transaction id says.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <vector>

#include "ovs-integration/openflow/loop.h"
#include "ovs-integration/openflow/port_read.h"
#include "schema/base/log.h"
#include "tests/unit/openflow/harness.h"

namespace {

using dyncast::Micros;
using dyncast::openflow::ByteView;
using dyncast::openflow::CutMessage;
using dyncast::openflow::CutState;
using dyncast::openflow::MsgType;
using dyncast::test::Joined;
using dyncast::test::LearnPlan;
using dyncast::test::MakeBinding;
using dyncast::test::SmallPlan;
using dyncast::test::TunnelPlan;

// `tunnel`: the plan wants tunnel options, and they are awaited where anything is.
void Prepare(Joined* j, uint8_t state, bool tunnel) {
  switch (state) {
    case 0:  // before the hello
      break;
    case 1:  // before the features
      j->fake.BeSilent(MsgType::kFeaturesRequest);
      j->Pump();
      break;
    case 2:  // a dump is awaited
      j->fake.BeSilent(MsgType::kMultipartRequest);
      j->Pump();
      break;
    case 3:  // a sync is awaited
      j->Pump();
      j->fake.BeSilent(tunnel ? MsgType::kExperimenter : MsgType::kBundleControl);
      j->Want(tunnel ? TunnelPlan() : SmallPlan());
      j->Pump();
      break;
    default:  // synced; bindings in flight, a count, a check or a resync awaited
      j->Start(tunnel ? TunnelPlan() : LearnPlan());
      j->fake.BeSilent(std::nullopt);
      for (uint32_t i = 0; i < 5; ++i) j->session->InstallBinding(MakeBinding(i), j->now.mono);
      if (state == 5) j->session->CountBindings(dyncast::openflow::CountScope::kAll);
      if (state == 6) j->session->Check(1);
      if (state == 7) j->session->Resync();
      j->Advance(Micros{1000});
      break;
  }
}

void ReadPorts(const std::vector<uint8_t>& octets) {
  std::vector<dyncast::PortCounters> ports;
  if (dyncast::openflow::ReadPortStats(octets, &ports) && ports.size() > octets.size() / 80) std::abort();
  std::map<dyncast::PortNo, uint64_t> speeds;
  if (dyncast::openflow::ReadPortSpeeds(octets, &speeds) && speeds.size() > octets.size() / 72) std::abort();
  for (const auto& [number, bit_s] : speeds) {
    if (!number.valid() || bit_s == 0) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool ready = [] {
    dyncast::openflow::InitLibrary("fuzz_openflow");
    return static_cast<bool>(dyncast::log::SetLevels("off"));
  }();
  if (!ready) std::abort();
  if (size < 1) return 0;
  if ((data[0] & 32) != 0) {
    ReadPorts({data + 1, data + size});
    return 0;
  }
  Joined j;
  Prepare(&j, data[0] & 7, (data[0] & 16) != 0);
  // On the heap at its exact size, so that the sanitizer sees one octet too many.
  const std::vector<uint8_t> octets(data + 1, data + size);
  ByteView rest(octets);
  size_t length = 0;
  while (!j.session->closed()) {
    const CutState cut = CutMessage(rest, &length);
    if (cut == CutState::kNeedMore) break;
    if (cut == CutState::kBroken) {
      j.session->OnBrokenFraming(length);
      break;
    }
    j.session->OnMessage(rest.first(length), j.now);
    rest = rest.subspan(length);
    if ((data[0] & 8) != 0) j.Advance(Micros{700});
  }
  j.Advance(Micros{2000});
  return 0;
}
