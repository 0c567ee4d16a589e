// What the emulated switch tells: statistics, flow-removed, packet-ins.
#include "tests/support/fake_switch/fake_switch.h"

namespace dyncast::test {

using openflow::ByteView;
using openflow::Get16;
using openflow::Get32;
using openflow::Get64;
using openflow::MessageXid;
using openflow::MsgType;
using openflow::Put16;
using openflow::Put32;
using openflow::Put64;

namespace {

constexpr size_t kReplyLimit = 60000;
constexpr size_t kStatsSize = 40;  // ofp_stats: duration, packets, bytes, padded

void PutStats(uint8_t* p, const FakeFlow& flow) {
  Put16(p + 2, kStatsSize);
  Put32(p + 4, 0x80020008);  // OXS_OF_DURATION
  Put32(p + 8, 1);
  Put32(p + 16, 0x80020808);  // OXS_OF_PACKET_COUNT
  Put64(p + 20, flow.packets);
  Put32(p + 28, 0x80020a08);  // OXS_OF_BYTE_COUNT
  Put64(p + 32, flow.bytes);
}

size_t StatsEntrySize(const FakeFlow& f) { return 24 + f.match.size() + kStatsSize + f.instructions.size(); }

void PutStatsEntry(uint8_t* p, const FakeFlow& f) {
  Put16(p, static_cast<uint16_t>(StatsEntrySize(f)));
  p[4] = f.table;
  Put16(p + 6, f.priority);
  Put16(p + 8, f.idle_timeout_s);
  Put16(p + 10, f.hard_timeout_s);
  Put16(p + 12, f.flags);
  Put64(p + 16, f.cookie);
  std::memcpy(p + 24, f.match.data(), f.match.size());
  PutStats(p + 24 + f.match.size(), f);
  if (!f.instructions.empty()) {
    std::memcpy(p + 24 + f.match.size() + kStatsSize, f.instructions.data(), f.instructions.size());
  }
}

}  // namespace

void FakeSwitch::HandleMultipart(ByteView message) {
  const uint16_t type = Get16(message.data() + 8);
  if (on_multipart) on_multipart(type);
  if (type == 1) return SendFlowStats(message);
  if (type == 7) return SendGroupDescs(MessageXid(message));
  if (type == 16) return HandleMonitorRequest(message);
  if (type == 10 && options_.has_meters) return SendMeterConfigs(MessageXid(message));
  if (type == 4 && options_.has_port_stats) return SendPortStats(MessageXid(message));
  if (type == 13 && options_.has_port_stats) return SendPortDescs(MessageXid(message));
  SendError(message, 1, 2);  // bad request: bad multipart type
}

// Two messages, so that the reader has to put them together.
void FakeSwitch::SendPortStats(uint32_t xid) {
  constexpr size_t kEntry = 80;
  const size_t half = ports_.size() / 2;
  for (const auto& [from, to] : {std::pair<size_t, size_t>(0, half), {half, ports_.size()}}) {
    uint8_t* p = out_.Message(MsgType::kMultipartReply, xid, 16 + kEntry * (to - from));
    Put16(p + 8, 4);
    Put16(p + 10, to < ports_.size() ? 1 : 0);
    p += 16;
    for (size_t i = from; i < to; ++i, p += kEntry) {
      const FakePort& port = ports_[i];
      Put16(p, kEntry);
      Put32(p + 4, port.number);
      Put32(p + 8, port.alive_s);
      Put32(p + 12, port.alive_ns);
      Put64(p + 16, port.in_packets);
      Put64(p + 24, port.out_packets);
      Put64(p + 32, port.in_bytes);
      Put64(p + 40, port.out_bytes);
      Put64(p + 48, port.in_dropped);
      Put64(p + 56, port.out_dropped);
    }
  }
}

void FakeSwitch::SendPortDescs(uint32_t xid) {
  constexpr size_t kEntry = 40 + 32;
  uint8_t* p = out_.Message(MsgType::kMultipartReply, xid, 16 + kEntry * ports_.size());
  Put16(p + 8, 13);
  p += 16;
  for (const FakePort& port : ports_) {
    Put32(p, port.number);
    Put16(p + 4, kEntry);
    Put16(p + 40 + 2, 32);  // an Ethernet property
    Put32(p + 40 + 24, port.speed_kbit_s);
    p += kEntry;
  }
}

void FakeSwitch::SendFlowStats(ByteView request) {
  const uint8_t table = request[16];
  const uint64_t cookie = Get64(request.data() + 32);
  const uint64_t mask = Get64(request.data() + 40);
  std::vector<const FakeFlow*> chosen;
  for (const auto& [key, flow] : flows_) {
    const bool meant = (table == 0xff || table == flow.table) && (flow.cookie & mask) == (cookie & mask);
    if (meant) chosen.push_back(&flow);
  }
  size_t next = 0;
  do {
    size_t size = 16;
    const size_t first = next;
    while (next < chosen.size() && size + StatsEntrySize(*chosen[next]) <= kReplyLimit) {
      size += StatsEntrySize(*chosen[next++]);
    }
    uint8_t* p = out_.Message(MsgType::kMultipartReply, MessageXid(request), size);
    Put16(p + 8, 1);
    Put16(p + 10, next < chosen.size() ? 1 : 0);
    p += 16;
    for (size_t i = first; i < next; ++i) {
      PutStatsEntry(p, *chosen[i]);
      p += StatsEntrySize(*chosen[i]);
    }
  } while (next < chosen.size());
}

void FakeSwitch::SendMeterConfigs(uint32_t xid) {
  size_t size = 16;
  for (const auto& [id, body] : meters_) size += 8 + body.size() - 2;
  uint8_t* p = out_.Message(MsgType::kMultipartReply, xid, size);
  Put16(p + 8, 10);
  p += 16;
  for (const auto& [id, body] : meters_) {
    Put16(p, static_cast<uint16_t>(8 + body.size() - 2));
    std::memcpy(p + 2, body.data(), 2);
    Put32(p + 4, id);
    std::memcpy(p + 8, body.data() + 2, body.size() - 2);
    p += 8 + body.size() - 2;
  }
}

void FakeSwitch::SendFlowRemoved(const FakeFlow& flow, uint8_t reason) {
  uint8_t* p = out_.Message(MsgType::kFlowRemoved, 0, 24 + flow.match.size() + kStatsSize);
  p[8] = flow.table;
  p[9] = reason;
  Put16(p + 10, flow.priority);
  Put16(p + 12, flow.idle_timeout_s);
  Put16(p + 14, flow.hard_timeout_s);
  Put64(p + 16, flow.cookie);
  std::memcpy(p + 24, flow.match.data(), flow.match.size());
  PutStats(p + 24 + flow.match.size(), flow);
}

bool FakeSwitch::Expire(const std::string& key, uint8_t reason) {
  const auto it = flows_.find(key);
  if (it == flows_.end()) return false;
  if ((it->second.flags & 1) != 0) SendFlowRemoved(it->second, reason);
  flows_.erase(it);
  return true;
}

void FakeSwitch::SendPunt(uint8_t reason, uint16_t service, uint32_t in_port, uint32_t reg5,
                          ByteView packet) {
  SendPunt({.userdata = {reason, static_cast<uint8_t>(service >> 8), static_cast<uint8_t>(service)},
            .in_port = in_port,
            .reg5 = reg5},
           packet);
}

void FakeSwitch::SendPunt(const FakePunt& punt, ByteView packet) {
  const auto padded = [](size_t size) { return (size + 7) / 8 * 8; };
  const bool ipv6 = punt.xxreg3 != std::array<uint32_t, 4>{};
  const size_t packet_prop = padded(4 + packet.size());
  const size_t halves = (punt.reg0 == 0 ? 0u : 1u) + (punt.reg5 == 0 ? 0u : 1u) + (punt.reg6 == 0 ? 0u : 1u);
  const size_t metadata = 8 + punt.other_fields.size() + 20 * halves + (ipv6 ? 24u : 0u);
  const size_t metadata_prop = padded(4 + metadata);
  const size_t userdata_prop = padded(4 + punt.userdata.size());
  uint8_t* p = out_.Message(MsgType::kExperimenter, 0, 16 + packet_prop + metadata_prop + userdata_prop);
  Put32(p + 8, openflow::kNiciraVendor);
  Put32(p + 12, 30);  // NXT_PACKET_IN2
  p += 16;
  Put16(p + 2, static_cast<uint16_t>(4 + packet.size()));  // NXPINT_PACKET
  if (!packet.empty()) std::memcpy(p + 4, packet.data(), packet.size());
  p += packet_prop;
  Put16(p, 6);  // NXPINT_METADATA
  Put16(p + 2, static_cast<uint16_t>(4 + metadata));
  uint8_t* field = p + 4;
  Put32(field, 0x80000004);  // in_port
  Put32(field + 4, punt.in_port);
  field += 8;
  if (!punt.other_fields.empty()) std::memcpy(field, punt.other_fields.data(), punt.other_fields.size());
  field += punt.other_fields.size();
  if (punt.reg0 != 0) {
    Put32(field, 0x80010110);  // xreg0, masked to its high half
    Put32(field + 4, punt.reg0);
    Put32(field + 12, UINT32_MAX);
    field += 20;
  }
  if (punt.reg5 != 0) {
    Put32(field, 0x80010510);  // xreg2, masked to its low half
    Put32(field + 8, punt.reg5);
    Put32(field + 16, UINT32_MAX);
    field += 20;
  }
  if (punt.reg6 != 0) {
    Put32(field, 0x80010710);  // xreg3, masked to its high half
    Put32(field + 4, punt.reg6);
    Put32(field + 12, UINT32_MAX);
    field += 20;
  }
  if (ipv6) {
    for (uint32_t pair = 0; pair < 2; ++pair) {
      Put32(field, 0x80010008 | (6 + pair) << 9);
      Put32(field + 4, punt.xxreg3[2 * pair]);
      Put32(field + 8, punt.xxreg3[2 * pair + 1]);
      field += 12;
    }
  }
  p += metadata_prop;
  Put16(p, 7);  // NXPINT_USERDATA
  Put16(p + 2, static_cast<uint16_t>(4 + punt.userdata.size()));
  if (!punt.userdata.empty()) std::memcpy(p + 4, punt.userdata.data(), punt.userdata.size());
}

}  // namespace dyncast::test
