#include "tests/support/fake_switch/fake_switch.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>

#include "tests/support/fake_switch/fake_groups.h"

namespace dyncast::test {

using openflow::ByteView;
using openflow::CutMessage;
using openflow::CutState;
using openflow::Get16;
using openflow::Get32;
using openflow::Get64;
using openflow::MessageType;
using openflow::MessageXid;
using openflow::MsgType;
using openflow::Put16;
using openflow::Put32;
using openflow::Put64;

namespace {

constexpr size_t kReadSize = 256u << 10;
constexpr size_t kMatchOffset = 48;  // of a flow_mod
constexpr uint32_t kTableFull = 5u << 16 | 1;
constexpr uint32_t kBadMessageLength = 1u << 16 | 6;
constexpr uint32_t kBadOutGroup = 2u << 16 | 9;
constexpr uint16_t kExperimenterError = 0xffff;

bool IsBindingTable(uint8_t table) { return (table >= 20 && table <= 22) || (table >= 26 && table <= 28); }

size_t PaddedMatch(ByteView match) { return (Get16(match.data() + 2) + 7u) / 8 * 8; }

int OpenSocket(const std::string& target) {
  if (target.rfind("unix:", 0) == 0) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    target.copy(address.sun_path, sizeof address.sun_path - 1, 5);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
  }
  const size_t colon = target.rfind(':');
  if (target.rfind("tcp:", 0) != 0 || colon <= 4) {
    errno = EINVAL;
    return -1;
  }
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(target.c_str() + colon + 1)));
  if (inet_pton(AF_INET, target.substr(4, colon - 4).c_str(), &address.sin_addr) != 1) {
    errno = EINVAL;
    return -1;
  }
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

}  // namespace

std::string FakeFlowKey(uint8_t table, uint16_t priority, ByteView match) {
  std::string key = {static_cast<char>(table), static_cast<char>(priority >> 8), static_cast<char>(priority)};
  key.append(reinterpret_cast<const char*>(match.data()), match.size());
  return key;
}

FakeSwitch::FakeSwitch(FakeSwitchOptions options) : options_(std::move(options)) {}
FakeSwitch::~FakeSwitch() { Disconnect(); }

Status FakeSwitch::Connect() {
  Disconnect();
  fd_ = OpenSocket(options_.target);
  if (fd_ < 0) return MakeError(Errc::kIo, std::strerror(errno), options_.target);
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
  Greet();
  return Ok();
}

void FakeSwitch::Greet() {
  in_used_ = 0;
  out_ = {};
  bundles_.clear();
  monitored_.clear();  // they belong to the connection
  paused_ = false;
  learned_in_pause_.clear();
  gone_ = false;
  uint8_t* p = out_.Message(MsgType::kHello, 1, 16);
  p[0] = options_.version;
  Put16(p + 8, 1);
  Put16(p + 10, 8);
  Put32(p + 12, 1u << options_.version);
}

void FakeSwitch::Disconnect() {
  gone_ = true;
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void FakeSwitch::BeSilent(std::optional<MsgType> about) {
  silent_ = true;
  silent_about_ = about;
}

bool FakeSwitch::Mute(MsgType type) const { return silent_ && (!silent_about_ || *silent_about_ == type); }

bool FakeSwitch::Step() {
  while (fd_ >= 0) {
    Write();
    if (fd_ < 0) break;
    if (in_.size() < in_used_ + kReadSize) in_.resize(in_used_ + kReadSize);
    const ssize_t got = recv(fd_, in_.data() + in_used_, in_.size() - in_used_, 0);
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      Disconnect();
      break;
    }
    in_used_ += static_cast<size_t>(got);
    ByteView rest = ByteView(in_).first(in_used_);
    size_t size = 0;
    while (fd_ >= 0 && CutMessage(rest, &size) == CutState::kMessage) {
      Handle(rest.first(size));
      rest = rest.subspan(size);
    }
    std::memmove(in_.data(), rest.data(), rest.size());
    in_used_ = rest.size();
    if (static_cast<size_t>(got) < kReadSize) break;
  }
  Write();
  return fd_ >= 0;
}

void FakeSwitch::Write() {
  while (fd_ >= 0 && !out_.empty()) {
    const ByteView pending = out_.pending();
    const ssize_t sent = send(fd_, pending.data(), pending.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent <= 0) return Disconnect();
    out_.Consume(static_cast<size_t>(sent));
  }
}

uint64_t FakeSwitch::received_total() const {
  return std::accumulate(std::begin(received_), std::end(received_), uint64_t{0});
}

void FakeSwitch::ResetCounts() {
  std::fill(std::begin(received_), std::end(received_), 0);
  bundles_committed_ = 0;
}

std::vector<FakeFlow> FakeSwitch::FlowsOf(uint8_t table) const {
  std::vector<FakeFlow> found;
  for (const auto& [key, flow] : flows_) {
    if (flow.table == table) found.push_back(flow);
  }
  return found;
}

void FakeSwitch::Handle(ByteView message) {
  const MsgType type = MessageType(message);
  ++received_[static_cast<uint8_t>(type)];
  switch (type) {
    case MsgType::kPacketOut:
      if (on_packet_out) on_packet_out(message);
      return;
    case MsgType::kBundleAdd:
    case MsgType::kBundleControl: return HandleBundle(message);
    case MsgType::kFlowMod: {
      const uint32_t refused = Check(message);
      if (refused != 0) {
        SendError(message, static_cast<uint16_t>(refused >> 16), static_cast<uint16_t>(refused));
      } else {
        Apply(message);
        TellRemoved();
      }
      return;
    }
    case MsgType::kGroupMod: {
      const uint32_t refused = CheckGroup(message);
      if (refused != 0) {
        SendError(message, static_cast<uint16_t>(refused >> 16), static_cast<uint16_t>(refused));
      } else {
        ApplyGroup(message);
        TellRemoved();
      }
      return;
    }
    case MsgType::kMeterMod: return HandleMeterMod(message);
    case MsgType::kError:
      if (!error_received_) error_received_ = {Get16(message.data() + 8), Get16(message.data() + 10)};
      return;
    default: break;
  }
  if (Mute(type)) return;
  switch (type) {
    case MsgType::kEchoRequest:
      std::memcpy(out_.Message(MsgType::kEchoReply, MessageXid(message), message.size()) + 8,
                  message.data() + 8, message.size() - 8);
      break;
    case MsgType::kFeaturesRequest: {
      uint8_t* p = out_.Message(MsgType::kFeaturesReply, MessageXid(message), 32);
      p[0] = options_.version;
      Put64(p + 8, options_.dpid);
      p[20] = 254;                // tables
      Put32(p + 24, 0x00000047);  // flow, table, port and queue statistics
      break;
    }
    case MsgType::kMultipartRequest: HandleMultipart(message); break;
    case MsgType::kExperimenter: HandleExperimenter(message); break;
    case MsgType::kBarrierRequest:
      out_.Message(MsgType::kBarrierReply, MessageXid(message), openflow::kHeaderSize);
      break;
    default: break;
  }
}

void FakeSwitch::SendErrorXid(uint32_t xid, uint16_t type, uint16_t code) {
  uint8_t* p = out_.Message(MsgType::kError, xid, 12);
  Put16(p + 8, type);
  Put16(p + 10, code);
}

void FakeSwitch::SendError(ByteView about, uint16_t type, uint16_t code) {
  const size_t quoted = std::min<size_t>(about.size(), 64);
  const size_t head = type == kExperimenterError ? 16 : 12;
  uint8_t* p = out_.Message(MsgType::kError, MessageXid(about), head + quoted);
  Put16(p + 8, type);
  Put16(p + 10, code);
  if (type == kExperimenterError) Put32(p + 12, openflow::kNiciraVendor);
  std::memcpy(p + head, about.data(), quoted);
}

void FakeSwitch::HandleBundle(ByteView message) {
  const uint32_t id = Get32(message.data() + 8);
  if (MessageType(message) == MsgType::kBundleAdd) {
    if (!options_.store_bindings && refuse_at_ == 0 && message[17] == 14 && IsBindingTable(message[40]) &&
        message[41] == 0) {
      ++flow_mods_seen_;  // the hot path of a load: nothing to check, nothing to keep
      if (on_binding) on_binding(message.subspan(16));
      return;
    }
    bundles_[id].emplace_back(message.begin() + 16, message.end());
    return;
  }
  const uint16_t type = Get16(message.data() + 12);
  if (type == 4) return Commit(MessageXid(message), id);
  if (type == 0) bundles_[id].clear();
  if (Mute(MsgType::kBundleControl)) return;
  uint8_t* p = out_.Message(MsgType::kBundleControl, MessageXid(message), 16);
  Put32(p + 8, id);
  Put16(p + 12, static_cast<uint16_t>(type + 1));
  Put16(p + 14, Get16(message.data() + 14));
}

void FakeSwitch::Commit(uint32_t xid, uint32_t id) {
  if (disconnect_before_commit_) {
    disconnect_before_commit_ = false;
    return Disconnect();
  }
  const auto it = bundles_.find(id);
  if (it == bundles_.end()) return SendErrorXid(xid, 17, 2);  // bundle failed: bad id
  const std::vector<std::vector<uint8_t>> messages = std::move(it->second);
  bundles_.erase(it);
  const std::map<std::string, FakeFlow> before = messages.empty() ? decltype(flows_)() : flows_;
  const std::map<uint32_t, FakeGroup> groups_before = groups_;
  for (const auto& message : messages) {
    const bool group = MessageType(message) == MsgType::kGroupMod;
    const uint32_t refused = group ? CheckGroup(message) : Check(message);
    if (refused != 0) {
      flows_ = before;
      groups_ = groups_before;
      removed_.clear();
      SendError(message, static_cast<uint16_t>(refused >> 16), static_cast<uint16_t>(refused));
      return SendErrorXid(xid, 17, 13);  // OFPBFC_MSG_FAILED
    }
    group ? ApplyGroup(message) : Apply(message);
  }
  ++bundles_committed_;
  TellOwnChange(xid);
  TellRemoved();
  if (Mute(MsgType::kBundleControl)) return;
  uint8_t* p = out_.Message(MsgType::kBundleControl, xid, 16);
  Put32(p + 8, id);
  Put16(p + 12, 5);
  Put16(p + 14, 3);  // atomic, ordered
}

uint32_t FakeSwitch::Check(ByteView message) {
  ++flow_mods_seen_;
  if (message.size() < kMatchOffset + 8 ||
      kMatchOffset + PaddedMatch(message.subspan(kMatchOffset)) > message.size()) {
    return kBadMessageLength;
  }
  if (message[25] != 0) return 0;
  if (refuse_at_ != 0 && flow_mods_seen_ == refuse_at_) {
    refuse_at_ = 0;
    return kTableFull;
  }
  const auto group = GroupOf(message.subspan(kMatchOffset + PaddedMatch(message.subspan(kMatchOffset))));
  if (group && !groups_.contains(*group)) return kBadOutGroup;
  const ByteView match = message.subspan(kMatchOffset);
  if (const uint32_t refused = CheckOptions(match.first(PaddedMatch(match))); refused != 0) return refused;
  const std::string key =
      FakeFlowKey(message[24], Get16(message.data() + 30), match.first(PaddedMatch(match)));
  return flows_.size() >= options_.flow_limit && !flows_.contains(key) ? kTableFull : 0;
}

void FakeSwitch::TellRemoved() {
  for (const FakeFlow& flow : removed_) SendFlowRemoved(flow, 2);
  removed_.clear();
}

void FakeSwitch::Apply(ByteView message) {
  const ByteView match = message.subspan(kMatchOffset, PaddedMatch(message.subspan(kMatchOffset)));
  FakeFlow flow{
      .table = message[24],
      .priority = Get16(message.data() + 30),
      .cookie = Get64(message.data() + 8),
      .idle_timeout_s = Get16(message.data() + 26),
      .hard_timeout_s = Get16(message.data() + 28),
      .flags = Get16(message.data() + 44),
      .match = {match.begin(), match.end()},
      .instructions = {message.begin() + static_cast<ptrdiff_t>(kMatchOffset + match.size()), message.end()}};
  const std::string key = FakeFlowKey(flow.table, flow.priority, match);
  const uint64_t mask = Get64(message.data() + 16);
  const auto remove = [&](std::map<std::string, FakeFlow>::iterator it) {
    if ((it->second.flags & 1) != 0) removed_.push_back(it->second);
    return flows_.erase(it);
  };
  switch (message[25]) {
    case 0:
      if (on_binding && IsBindingTable(flow.table)) on_binding(message);
      flows_[key] = std::move(flow);
      break;
    case 3:  // delete: by table and cookie, which is what an empty match leaves
      for (auto it = flows_.begin(); it != flows_.end();) {
        const bool meant = (flow.table == 0xff || flow.table == it->second.table) &&
                           (it->second.cookie & mask) == (flow.cookie & mask);
        it = meant ? remove(it) : std::next(it);
      }
      break;
    case 4: {
      const bool everywhere = flow.table == 0xff;
      for (int table = everywhere ? 0 : flow.table; table <= (everywhere ? 254 : flow.table); ++table) {
        const auto it = flows_.find(FakeFlowKey(static_cast<uint8_t>(table), flow.priority, match));
        if (it != flows_.end() && (it->second.cookie & mask) == (flow.cookie & mask)) remove(it);
      }
      break;
    }
    default: break;
  }
}

void FakeSwitch::HandleMeterMod(ByteView message) {
  const uint16_t command = Get16(message.data() + 8);
  const uint32_t id = Get32(message.data() + 12);
  if (!options_.has_meters) return SendError(message, 12, 0);
  if (command == 0 && meters_.contains(id)) return SendError(message, 12, 1);   // OFPMMFC_METER_EXISTS
  if (command == 1 && !meters_.contains(id)) return SendError(message, 12, 3);  // OFPMMFC_UNKNOWN_METER
  if (command == 2) {
    meters_.erase(id);
  } else {
    std::vector<uint8_t>& body = meters_[id];
    body.assign(message.begin() + 16, message.end());
    body.insert(body.begin(), message.begin() + 10, message.begin() + 12);  // the flags, in front
  }
}

}  // namespace dyncast::test
