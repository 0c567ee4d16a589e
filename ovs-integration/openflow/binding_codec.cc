#include "ovs-integration/openflow/binding_codec.h"

#include <algorithm>

#include "ovs-integration/openflow/control.h"
#include "ovs-integration/openflow/flow_image.h"
#include "ovs-integration/pipeline/compile.h"
#include "ovs-integration/pipeline/layout.h"

namespace dyncast::openflow {
namespace {

// The client counts as four words, of which IPv4 has the last one.
enum class Field : uint8_t {
  kClient0,
  kClient1,
  kClient2,
  kClient3,
  kSrcPort,
  kDstPort,
  kService,
  kAt,
  kInstance,
  kIdle,
  kFin,
};
constexpr size_t kFieldCount = 11;
constexpr size_t kMaxValue = 4;

uint16_t Seconds16(std::chrono::seconds s) {
  return static_cast<uint16_t>(std::clamp<int64_t>(s.count(), 0, 65535));
}

bool InHeader(const BindingFlow& b) { return FormOf(b.place) == KeyForm::kHeader; }
// In registers the source port decides about the match of TCP; elsewhere it is only a register. In the header
// a port that the key leaves out is not there.
bool LacksSource(const BindingFlow& b) {
  return b.key.src_port == 0 && (InHeader(b) || b.key.proto == IpProto::kTcp);
}
bool LacksDestination(const BindingFlow& b) { return b.key.dst_port == 0 && InHeader(b); }
bool IsTimed(const BindingFlow& b) { return dyncast::IsTimed(b.place); }
// As CompileBinding says.
bool HasFinTimeout(const BindingFlow& b) {
  return IsTimed(b) && b.fin_timeout.count() > 0 && BindingEncoder::FormsDiffer(b.key);
}
// Bits of the client that stand in the message.
uint8_t BitsOf(const BindingFlow& b) {
  const uint8_t all = b.key.client.is_v4() ? 32 : 128;
  return InHeader(b) ? std::min(b.client_bits, all) : all;
}
bool HasPrefix(const BindingFlow& b) { return BitsOf(b) != (b.key.client.is_v4() ? 32 : 128); }

// The value of `field` in network order; returns its size, 0 for one that the shape leaves out.
size_t ValueOf(const BindingFlow& b, Field field, uint8_t* value) {
  const auto two = [&](uint16_t v) -> size_t {
    Put16(value, v);
    return 2;
  };
  switch (field) {
    case Field::kClient0:
    case Field::kClient1:
    case Field::kClient2:
    case Field::kClient3:
      if (b.key.client.is_v4() && field != Field::kClient3) return 0;
      // Of a prefix the words behind it are zero: they are in the shape.
      if (BitsOf(b) <= (b.key.client.is_v4() ? 0 : 32 * static_cast<size_t>(field))) return 0;
      std::memcpy(value, b.key.client.octets().data() + 4 * static_cast<size_t>(field), 4);
      return 4;
    case Field::kSrcPort: return LacksSource(b) ? 0 : two(b.key.src_port);
    case Field::kDstPort: return LacksDestination(b) ? 0 : two(b.key.dst_port);
    case Field::kService: return two(b.key.service.value());
    case Field::kAt: return two(b.key.at.value());
    case Field::kInstance: return two(b.instance.value());
    case Field::kIdle: return IsTimed(b) ? two(Seconds16(b.idle_timeout)) : 0;
    case Field::kFin: return HasFinTimeout(b) ? two(Seconds16(b.fin_timeout)) : 0;
  }
  return 0;
}

// Replaces the value of `field` by one that differs in every octet; of a client's prefix, in all that it has.
void Invert(BindingFlow* b, Field field) {
  const auto inverse = [](uint16_t v) { return static_cast<uint16_t>(~v); };
  switch (field) {
    case Field::kClient0:
    case Field::kClient1:
    case Field::kClient2:
    case Field::kClient3: {
      if (b->key.client.is_v4()) {
        b->key.client = MaskAddress(IpAddress::V4(~b->key.client.v4()), BitsOf(*b));
        break;
      }
      std::array<uint8_t, 16> octets = b->key.client.octets();
      for (size_t i = 4 * static_cast<size_t>(field); i < 4 * static_cast<size_t>(field) + 4; ++i) {
        octets[i] = static_cast<uint8_t>(~octets[i]);
      }
      b->key.client = MaskAddress(IpAddress::V6(octets), BitsOf(*b));
      break;
    }
    case Field::kSrcPort: b->key.src_port = inverse(b->key.src_port); break;
    case Field::kDstPort: b->key.dst_port = inverse(b->key.dst_port); break;
    case Field::kService: b->key.service = ServiceId{inverse(b->key.service.value())}; break;
    case Field::kAt: b->key.at = SwitchId{inverse(b->key.at.value())}; break;
    case Field::kInstance: b->instance = InstanceId{inverse(b->instance.value())}; break;
    case Field::kIdle: b->idle_timeout = std::chrono::seconds{inverse(Seconds16(b->idle_timeout))}; break;
    case Field::kFin: b->fin_timeout = std::chrono::seconds{inverse(Seconds16(b->fin_timeout))}; break;
  }
}

// Values whose octets stand out, in the shape of `like`.
BindingFlow Sentinel(const BindingFlow& like) {
  BindingFlow b;
  b.place = like.place;
  b.client_bits = like.client_bits;
  b.key.proto = like.key.proto;
  b.key.client = like.key.client.is_v4() ? IpAddress::V4(0x0b16212c)
                                         : IpAddress::V6({0x24, 0x1e, 0x13, 0x3b, 0x4d, 0x59, 0x6a, 0x71,
                                                          0x17, 0x9b, 0xa3, 0xb7, 0xc9, 0xd3, 0xe5, 0xf7});
  b.key.client = MaskAddress(b.key.client, BitsOf(b));
  b.key.src_port = LacksSource(like) ? uint16_t{0} : uint16_t{0x1357};
  b.key.dst_port = LacksDestination(like) ? uint16_t{0} : uint16_t{0x579b};
  b.key.service = ServiceId{0x2468};
  b.key.at = SwitchId{0x3e91};
  b.instance = InstanceId{0x5a3c};
  b.idle_timeout = std::chrono::seconds{0x0777};
  b.fin_timeout = std::chrono::seconds{HasFinTimeout(like) ? 0x0333 : 0};
  return b;
}

size_t ProtoIndex(IpProto proto) {
  switch (proto) {
    case IpProto::kAny: return 0;
    case IpProto::kIcmp: return 1;
    case IpProto::kTcp: return 2;
    case IpProto::kUdp: return 3;
    case IpProto::kSctp: return 4;
  }
  return 5;
}

size_t VariantOf(const BindingFlow& b, BindingEncoder::Form form) {
  if (InHeader(b))
    return (LacksSource(b) ? 0u : 1u) + (LacksDestination(b) ? 0u : 2u) + (HasFinTimeout(b) ? 2u : 0u);
  return (form == BindingEncoder::Form::kLearned ? 0u : 3u) + (HasFinTimeout(b)                     ? 2u
                                                               : BindingEncoder::FormsDiffer(b.key) ? 1u
                                                                                                    : 0u);
}

// The shape that a binding has in octets, but for a prefix; below kShapes.
size_t ShapeIndex(const BindingFlow& b, BindingEncoder::Form form) {
  const size_t family = b.key.client.is_v4() ? 1 : 0;
  const size_t place = ProtoIndex(b.key.proto) * kBindingPlaces.size() + static_cast<size_t>(b.place);
  return (place * 2 + family) * 6 + VariantOf(b, form);
}

Result<FlowImage> ImageOf(const BindingFlow& b, BindingEncoder::Form form) {
  if (form != BindingEncoder::Form::kLearned) return ImageFromText(pipeline::CompileBinding(b));
  pipeline::Flow flow = pipeline::CompileBinding(b);
  flow.match = pipeline::BindingMatch(b.key, BindingPlace::kGeneration0);  // there, the registers alone
  return ImageFromText(flow);
}

}  // namespace

struct BindingEncoder::Template {
  struct Place {
    Field field;
    uint8_t size;
    uint16_t offset;
  };
  Form form = Form::kPushed;
  bool usable = false;
  FlowImage image;
  std::vector<Place> places;

  void Patch(const BindingFlow& b, uint8_t* message) const {
    uint8_t value[kMaxValue] = {};
    size_t size = 0;
    auto current = static_cast<Field>(0xff);
    for (const Place& place : places) {
      if (place.field != current) {
        size = ValueOf(b, place.field, value);
        current = place.field;
      }
      std::memcpy(message + place.offset, value, size);
    }
  }
  [[nodiscard]] bool Locate(const BindingFlow& base, Field field);
  void Build(const BindingFlow& like);
};

bool BindingEncoder::Template::Locate(const BindingFlow& base, Field field) {
  uint8_t before[kMaxValue];
  uint8_t after[kMaxValue];
  const size_t size = ValueOf(base, field, before);
  if (size == 0) return true;
  BindingFlow changed = base;
  Invert(&changed, field);
  ValueOf(changed, field, after);
  const Result<FlowImage> other = ImageOf(changed, form);
  if (!other || other->add.size() != image.add.size() || other->match_end != image.match_end) return false;
  const Bytes& a = image.add;
  const Bytes& b = other->add;
  for (size_t i = 0; i < a.size();) {
    if (i + size <= a.size() && std::memcmp(&a[i], before, size) == 0 &&
        std::memcmp(&b[i], after, size) == 0) {
      places.push_back({field, static_cast<uint8_t>(size), static_cast<uint16_t>(i)});
      i += size;
    } else if (a[i] != b[i]) {
      return false;  // the value is there in another form than plain
    } else {
      ++i;
    }
  }
  return true;
}

void BindingEncoder::Template::Build(const BindingFlow& like) {
  const BindingFlow base = Sentinel(like);
  Result<FlowImage> encoded = ImageOf(base, form);
  if (!encoded) return;
  image = std::move(*encoded);
  for (size_t i = 0; i < kFieldCount; ++i) {
    if (!Locate(base, static_cast<Field>(i))) return;
  }
  // The proof: the flow that asked for the template, encoded both ways.
  const Result<FlowImage> expected = ImageOf(like, form);
  if (!expected) return;
  Bytes patched = image.add;
  Patch(like, patched.data());
  usable = patched == expected->add;
}

BindingEncoder::BindingEncoder() = default;
BindingEncoder::~BindingEncoder() = default;

const BindingEncoder::Template& BindingEncoder::TemplateFor(const BindingFlow& binding, Form form) {
  const size_t shape = ShapeIndex(binding, form);
  std::unique_ptr<Template>& slot =
      HasPrefix(binding) ? masked_[{shape, BitsOf(binding)}] : templates_[shape];
  if (!slot) {
    slot = std::make_unique<Template>();
    slot->form = form;
    slot->Build(binding);
  }
  return *slot;
}

BindingEncoder::Encoded BindingEncoder::Encode(const BindingFlow& binding, Form form) {
  if (form == Form::kLearned && HasFinTimeout(binding)) {
    BindingFlow plain = binding;
    plain.fin_timeout = std::chrono::seconds{0};
    return Encode(plain, form);
  }
  const Template& t = TemplateFor(binding, form);
  if (t.usable) {
    work_.assign(t.image.add.begin(), t.image.add.end());
    t.Patch(binding, work_.data());
    return {work_, t.image.match_end};
  }
  ++slow_;
  Result<FlowImage> image = ImageOf(binding, form);
  if (!image) return {};
  work_ = std::move(image->add);
  return {work_, image->match_end};
}

BindingEncoder::Encoded BindingEncoder::EncodeDelete(const BindingFlow& binding, Form form) {
  BindingFlow flow;
  flow.key = binding.key;
  flow.client_bits = binding.client_bits;
  flow.instance = InstanceId{1};
  if (form == Form::kHeader) flow.place = BindingPlace::kHeaderTimed;
  const Encoded add = Encode(flow, form);
  if (add.message.empty()) return {};
  const FlowImage image{.add = work_, .match_end = add.match_end};
  work_ = image.MakeDelete();
  // Of ours, only bindings.
  Put64(work_.data() + 8, pipeline::kCookieOwner << 56 | static_cast<uint64_t>(pipeline::FlowKind::kBinding)
                                                             << 48);
  Put64(work_.data() + 16, 0xffff000000000000ull);
  if (form != Form::kPushed) work_[24] = kAllTables;
  return {work_, work_.size()};
}

bool BindingEncoder::FormsDiffer(const BindingKey& key) {
  return key.proto == IpProto::kTcp && key.src_port != 0;
}

bool BindingEncoder::WriteAdd(OutBuffer* out, uint32_t xid, const BindingFlow& binding, Form form) {
  const Encoded e = Encode(binding, form);
  if (e.message.empty()) return false;
  uint8_t* p = out->Extend(e.message.size());
  std::memcpy(p, e.message.data(), e.message.size());
  Put32(p + 4, xid);
  return true;
}

bool BindingEncoder::WriteDelete(OutBuffer* out, uint32_t xid, const BindingFlow& binding, Form form) {
  const Encoded e = EncodeDelete(binding, form);
  if (e.message.empty()) return false;
  uint8_t* p = out->Extend(e.message.size());
  std::memcpy(p, e.message.data(), e.message.size());
  Put32(p + 4, xid);
  return true;
}

bool BindingEncoder::WriteBundledAdd(OutBuffer* out, uint32_t xid, uint32_t bundle_id,
                                     const BindingFlow& binding, Form form) {
  const Encoded e = Encode(binding, form);
  if (!e.message.empty()) WriteBundleAdd(out, xid, bundle_id, e.message);
  return !e.message.empty();
}

bool BindingEncoder::WriteBundledDelete(OutBuffer* out, uint32_t xid, uint32_t bundle_id,
                                        const BindingFlow& binding, Form form) {
  const Encoded e = EncodeDelete(binding, form);
  if (!e.message.empty()) WriteBundleAdd(out, xid, bundle_id, e.message);
  return !e.message.empty();
}

}  // namespace dyncast::openflow
