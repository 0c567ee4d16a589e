#include "ovs-integration/openflow/group_codec.h"

#include <fmt/format.h>
#include <openvswitch/ofp-group.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>

#include "ovs-integration/openflow/control.h"
#include "ovs-integration/openflow/ovs_headers.h"
#include "ovs-integration/pipeline/layout.h"

namespace dyncast::openflow {
namespace {

constexpr size_t kGroupModHead = kHeaderSize + 16;  // and ofp15_group_mod
constexpr size_t kDescHead = 16;                    // ofp15_group_desc_stats
constexpr size_t kBucketHead = 8;                   // ofp15_bucket
constexpr uint8_t kSelectType = 1;
constexpr uint32_t kNoBucket = 0xffffffff;
constexpr uint32_t kAllGroups = 0xfffffffc;
constexpr uint16_t kMultipartGroupDesc = 7;
constexpr size_t kMaxMessage = 65535;

// libopenvswitch's octets for a group of one slot: a whole group_mod. Empty: it refuses the text.
Bytes LibraryGroupMod(InstanceId instance) {
  const std::string text = pipeline::ToText(pipeline::Group{.id = 1, .slots = {instance}});
  ofputil_group_mod gm;
  ofputil_protocol usable{};
  char* error = parse_ofp_group_mod_str(&gm, OFPGC15_ADD, text.c_str(), nullptr, nullptr, &usable);
  if (error != nullptr) {
    std::free(error);
    return {};
  }
  const OfpbufPtr msg(ofputil_encode_group_mod(OFP15_VERSION, &gm, nullptr, -1));
  ofputil_uninit_group_mod(&gm);
  const auto* data = static_cast<const uint8_t*>(msg->data);
  return {data, data + msg->size};
}

}  // namespace

const GroupCodec& GroupCodec::Get() {
  static const GroupCodec codec;
  return codec;
}

GroupCodec::GroupCodec() {
  // The two ids differ in both octets, so the octets that differ are theirs.
  const Bytes one = LibraryGroupMod(InstanceId{0x1122});
  const Bytes other = LibraryGroupMod(InstanceId{0xeedd});
  if (one.size() < kGroupModHead + kBucketHead || one.size() != other.size()) return;
  const size_t buckets = Get16(one.data() + 16);
  if (kGroupModHead + buckets > one.size()) return;
  bucket_.assign(one.begin() + kGroupModHead, one.begin() + static_cast<ptrdiff_t>(kGroupModHead + buckets));
  properties_.assign(one.begin() + static_cast<ptrdiff_t>(kGroupModHead + buckets), one.end());
  for (size_t i = 0; i + 1 < bucket_.size(); ++i) {
    if (bucket_[i] == other[kGroupModHead + i]) continue;
    instance_.push_back(i++);
  }
  Put32(bucket_.data() + 4, 0);
}

size_t GroupCodec::BundledSize(const pipeline::Group& group, GroupCommand command) const {
  if (command == GroupCommand::kDelete) return kBundleControlSize + kGroupModHead;
  return kBundleControlSize + kGroupModHead + group.slots.size() * bucket_.size() + properties_.size();
}

Status GroupCodec::Check(const pipeline::Group& group) const {
  if (bucket_.empty() || instance_.empty()) {
    return MakeError(Errc::kInvalid, "libopenvswitch refuses the text of select groups");
  }
  const size_t size = BundledSize(group, GroupCommand::kAdd);
  if (size > kMaxMessage) {
    return MakeError(Errc::kLimit, fmt::format("{} are {} octets; one message holds {}", GroupName(group),
                                               size, kMaxMessage));
  }
  const bool valid =
      std::all_of(group.slots.begin(), group.slots.end(), [](InstanceId i) { return i.valid(); });
  if (group.slots.empty() || !valid) {
    return MakeError(Errc::kInvalid, GroupName(group) + ": a slot without an instance");
  }
  return Ok();
}

void GroupCodec::WriteBundled(OutBuffer* out, uint32_t xid, uint32_t bundle_id, GroupCommand command,
                              const pipeline::Group& group) const {
  const size_t size = BundledSize(group, command);
  uint8_t* p = out->Message(MsgType::kBundleAdd, xid, size);
  Put32(p + 8, bundle_id);
  Put16(p + 14, kBundleFlags);
  p += kBundleControlSize;
  p[0] = kVersion15;
  p[1] = static_cast<uint8_t>(MsgType::kGroupMod);
  Put16(p + 2, static_cast<uint16_t>(size - kBundleControlSize));
  Put32(p + 4, xid);
  Put16(p + 8, static_cast<uint16_t>(command));
  p[10] = kSelectType;
  Put32(p + 12, group.id);
  Put32(p + 20, kNoBucket);
  if (command == GroupCommand::kDelete) return;
  Put16(p + 16, static_cast<uint16_t>(group.slots.size() * bucket_.size()));
  p += kGroupModHead;
  for (size_t i = 0; i < group.slots.size(); ++i, p += bucket_.size()) {
    std::memcpy(p, bucket_.data(), bucket_.size());
    Put32(p + 4, static_cast<uint32_t>(i));
    for (const size_t at : instance_) Put16(p + at, group.slots[i].value());
  }
  std::memcpy(p, properties_.data(), properties_.size());
}

std::optional<InstanceId> GroupCodec::ReadBucket(ByteView bucket, uint32_t id) const {
  if (bucket.size() != bucket_.size() || Get32(bucket.data() + 4) != id || instance_.empty()) {
    return std::nullopt;
  }
  const uint16_t instance = Get16(bucket.data() + instance_.front());
  size_t from = 0;
  const auto same_up_to = [&](size_t to) {
    return std::memcmp(bucket.data() + from, bucket_.data() + from, to - from) == 0;
  };
  if (!same_up_to(4)) return std::nullopt;
  from = kBucketHead;
  for (const size_t at : instance_) {
    if (!same_up_to(at) || Get16(bucket.data() + at) != instance) return std::nullopt;
    from = at + 2;
  }
  if (!same_up_to(bucket_.size()) || instance == 0) return std::nullopt;
  return InstanceId{instance};
}

Status GroupCodec::Read(ByteView message, Groups* found) const {
  const auto broken = [&] {
    return MakeError(Errc::kProtocol,
                     fmt::format("a group description reply of {} octets cannot be read", message.size()));
  };
  if (message.size() < 16) return broken();
  ByteView rest = message.subspan(16);
  while (!rest.empty()) {
    if (rest.size() < kDescHead) return broken();
    const size_t length = Get16(rest.data());
    const size_t buckets = Get16(rest.data() + 8);
    if (length < kDescHead || length > rest.size() || kDescHead + buckets > length) return broken();
    pipeline::Group group{.id = Get32(rest.data() + 4), .slots = {}};
    const ByteView properties = rest.subspan(kDescHead + buckets, length - kDescHead - buckets);
    bool ours = rest[2] == kSelectType &&
                std::equal(properties.begin(), properties.end(), properties_.begin(), properties_.end());
    ByteView list = rest.subspan(kDescHead, buckets);
    while (!list.empty()) {
      if (list.size() < kBucketHead) return broken();
      const size_t size = Get16(list.data());
      if (size < kBucketHead || size > list.size()) return broken();
      const auto instance = ReadBucket(list.first(size), static_cast<uint32_t>(group.slots.size()));
      ours = ours && instance;
      if (ours) group.slots.push_back(*instance);
      list = list.subspan(size);
    }
    if (!ours) group.slots.clear();
    const uint32_t id = group.id;
    (*found)[id] = std::move(group);
    rest = rest.subspan(length);
  }
  return Ok();
}

void WriteGroupDescRequest(OutBuffer* out, uint32_t xid) {
  uint8_t* p = out->Message(MsgType::kMultipartRequest, xid, 24);
  Put16(p + 8, kMultipartGroupDesc);
  Put32(p + 16, kAllGroups);
}

std::optional<ServiceId> ServiceOfGroup(uint32_t group_id) {
  const ServiceId service{static_cast<uint16_t>(group_id)};
  if (!service.valid()) return std::nullopt;
  const bool ours =
      group_id == pipeline::GroupId(service, false) || group_id == pipeline::GroupId(service, true);
  return ours ? std::optional(service) : std::nullopt;
}

std::string GroupName(const pipeline::Group& group) {
  const auto service = ServiceOfGroup(group.id);
  std::string name = fmt::format("select group {:#x}", group.id);
  if (service) {
    const bool v6 = group.id == pipeline::GroupId(*service, true);
    name += fmt::format(" (service {}, {})", service->value(), v6 ? "IPv6" : "IPv4");
  }
  if (group.slots.empty()) return name + " of another shape";
  const std::set<InstanceId> instances(group.slots.begin(), group.slots.end());
  return name + fmt::format(": {} slots of {} instances", group.slots.size(), instances.size());
}

}  // namespace dyncast::openflow
