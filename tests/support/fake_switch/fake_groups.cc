// The emulated switch's groups and flow monitors.
#include "tests/support/fake_switch/fake_groups.h"

#include <algorithm>

#include "tests/support/fake_switch/fake_switch.h"

namespace dyncast::test {

using openflow::ByteView;
using openflow::Get16;
using openflow::Get32;
using openflow::MessageXid;
using openflow::MsgType;
using openflow::Put16;
using openflow::Put32;
using openflow::Put64;

namespace {

constexpr size_t kReplyLimit = 60000;
constexpr size_t kGroupModHead = 24;
constexpr size_t kDescHead = 16;
constexpr size_t kUpdateHead = 24;
constexpr uint32_t kGroupExists = 6u << 16 | 0;
constexpr uint32_t kInvalidGroup = 6u << 16 | 1;
constexpr uint32_t kOutOfGroups = 6u << 16 | 3;
constexpr uint32_t kUnknownGroup = 6u << 16 | 8;
constexpr uint16_t kAdded = 1;
constexpr uint16_t kModified = 3;
constexpr uint16_t kAbbreviated = 4;
constexpr uint16_t kPaused = 5;
constexpr uint16_t kResumed = 6;

}  // namespace

std::optional<uint32_t> GroupOf(ByteView instructions) {
  while (instructions.size() >= 8) {
    const size_t size = Get16(instructions.data() + 2);
    if (size < 8 || size > instructions.size()) break;
    ByteView actions = instructions.subspan(8, size - 8);
    while (Get16(instructions.data()) == 4 && actions.size() >= 8) {  // apply actions
      const size_t length = Get16(actions.data() + 2);
      if (length < 8 || length > actions.size()) break;
      if (Get16(actions.data()) == 22) return Get32(actions.data() + 4);  // OFPAT_GROUP
      actions = actions.subspan(length);
    }
    instructions = instructions.subspan(size);
  }
  return std::nullopt;
}

uint32_t FakeSwitch::CheckGroup(ByteView message) {
  ++group_mods_seen_;
  if (message.size() < kGroupModHead || kGroupModHead + Get16(message.data() + 16) > message.size()) {
    return kInvalidGroup;
  }
  const uint16_t command = Get16(message.data() + 8);
  const bool exists = groups_.contains(Get32(message.data() + 12));
  if (command == 0 && exists) return kGroupExists;
  if (command == 0 && groups_.size() >= options_.group_limit) return kOutOfGroups;
  if (command == 1 && !exists) return kUnknownGroup;
  return command > 2 ? kInvalidGroup : 0;
}

void FakeSwitch::ApplyGroup(ByteView message) {
  const uint32_t id = Get32(message.data() + 12);
  const auto buckets_end =
      message.begin() + static_cast<ptrdiff_t>(kGroupModHead + Get16(message.data() + 16));
  if (Get16(message.data() + 8) != 2) {
    groups_[id] = {.type = message[10],
                   .buckets = {message.begin() + kGroupModHead, buckets_end},
                   .properties = {buckets_end, message.end()}};
    return;
  }
  groups_.erase(id);
  // The flows of a group go with it.
  for (auto it = flows_.begin(); it != flows_.end();) {
    if (GroupOf(it->second.instructions) != id) {
      ++it;
      continue;
    }
    if ((it->second.flags & 1) != 0) removed_.push_back(it->second);
    it = flows_.erase(it);
  }
}

void FakeSwitch::SendGroupDescs(uint32_t xid) {
  const auto size_of = [](const FakeGroup& g) { return kDescHead + g.buckets.size() + g.properties.size(); };
  auto next = groups_.begin();
  do {
    const auto first = next;
    size_t size = 16;
    while (next != groups_.end() && (size == 16 || size + size_of(next->second) <= kReplyLimit)) {
      size += size_of((next++)->second);
    }
    uint8_t* p = out_.Message(MsgType::kMultipartReply, xid, size);
    Put16(p + 8, 7);
    Put16(p + 10, next == groups_.end() ? 0 : 1);
    p += 16;
    for (auto it = first; it != next; ++it) {
      const FakeGroup& g = it->second;
      Put16(p, static_cast<uint16_t>(size_of(g)));
      p[2] = g.type;
      Put32(p + 4, it->first);
      Put16(p + 8, static_cast<uint16_t>(g.buckets.size()));
      std::copy(g.buckets.begin(), g.buckets.end(), p + kDescHead);
      std::copy(g.properties.begin(), g.properties.end(), p + kDescHead + g.buckets.size());
      p += size_of(g);
    }
  } while (next != groups_.end());
}

void FakeSwitch::HandleMonitorRequest(ByteView message) {
  if (!options_.has_monitors) return SendError(message, 1, 2);  // bad request: bad multipart type
  if (message.size() < 32) return SendError(message, 1, 6);
  monitored_.insert(message[30]);
  Put16(out_.Message(MsgType::kMultipartReply, MessageXid(message), 16) + 8, 16);
}

uint8_t* FakeSwitch::StartUpdate(size_t size, uint16_t event) {
  uint8_t* p = out_.Message(MsgType::kMultipartReply, 0, 16 + size);
  Put16(p + 8, 16);
  p += 16;
  Put16(p, static_cast<uint16_t>(size));
  Put16(p + 2, event);
  return p;
}

void FakeSwitch::TellLearned(const FakeFlow& flow, uint16_t event) {
  uint8_t* p = StartUpdate(kUpdateHead + flow.match.size(), event);
  p[4] = flow.table;
  Put16(p + 6, flow.idle_timeout_s);
  Put16(p + 8, flow.hard_timeout_s);
  Put16(p + 10, flow.priority);
  Put64(p + 16, flow.cookie);
  std::copy(flow.match.begin(), flow.match.end(), p + kUpdateHead);
}

void FakeSwitch::TellOwnChange(uint32_t xid) {
  if (!monitored_.empty() && !paused_) Put32(StartUpdate(8, kAbbreviated) + 4, xid);
}

void FakeSwitch::Learn(const FakeFlow& flow) {
  FakeFlow& held = flows_[FakeFlowKey(flow.table, flow.priority, flow.match)];
  const bool fresh = held.match.empty();
  held = flow;
  if (!monitored_.contains(flow.table)) return;
  if (paused_) {
    learned_in_pause_.push_back(flow);
  } else {
    TellLearned(flow, fresh ? kAdded : kModified);
  }
}

void FakeSwitch::PauseMonitor() {
  paused_ = true;
  StartUpdate(8, kPaused);
}

void FakeSwitch::ResumeMonitor() {
  paused_ = false;
  for (const FakeFlow& flow : learned_in_pause_) TellLearned(flow, kAdded);
  learned_in_pause_.clear();
  StartUpdate(8, kResumed);
}

std::vector<uint8_t> LearnedMatch(uint32_t reg1, uint32_t reg4, uint32_t reg7,
                                  const std::array<uint32_t, 4>& client) {
  // Pairs of registers: 0x8001, the pair's number, whether a mask follows, octets.
  std::vector<uint8_t> match(4 + 3 * 20 + 2 * 12);
  uint8_t* p = match.data();
  Put16(p, 1);
  Put16(p + 2, static_cast<uint16_t>(match.size()));
  p += 4;
  const auto half = [&](uint32_t pair, uint32_t high, uint32_t low, uint32_t high_mask, uint32_t low_mask) {
    Put32(p, 0x80010110 | pair << 9);
    Put32(p + 4, high);
    Put32(p + 8, low);
    Put32(p + 12, high_mask);
    Put32(p + 16, low_mask);
    p += 20;
  };
  const auto whole = [&](uint32_t pair, uint32_t high, uint32_t low) {
    Put32(p, 0x80010008 | pair << 9);
    Put32(p + 4, high);
    Put32(p + 8, low);
    p += 12;
  };
  half(0, 0, reg1, 0, UINT32_MAX);
  half(2, reg4, 0, UINT32_MAX, 0);
  half(3, 0, reg7, 0, UINT32_MAX);
  whole(4, client[0], client[1]);
  whole(5, client[2], client[3]);
  match.resize((match.size() + 7) / 8 * 8);
  return match;
}

}  // namespace dyncast::test
