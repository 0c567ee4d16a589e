#include "ovs-integration/openflow/flow_read.h"

#include <fmt/format.h>

#include <optional>

#include "ovs-integration/openflow/binding_codec.h"
#include "ovs-integration/openflow/oxm.h"
#include "ovs-integration/pipeline/compile.h"

namespace dyncast::openflow {
namespace {

constexpr size_t kMultipartHead = 16;
constexpr size_t kFlowDescHead = 24;    // ofp15_flow_desc
constexpr size_t kRemovedHead = 24;     // header and ofp15_flow_removed
constexpr size_t kFlowUpdateHead = 24;  // ofp_flow_update_full

enum UpdateEvent : uint16_t {  // ofp_flow_update_event
  kInitial = 0,
  kAdded = 1,
  kRemoved = 2,
  kModified = 3,
  kAbbreviated = 4,
  kPaused = 5,
  kResumed = 6,
};

Error Unreadable(const char* what, ByteView message) {
  return MakeError(Errc::kProtocol, fmt::format("{} of {} octets cannot be read", what, message.size()));
}

uint64_t Known(uint64_t counter) { return counter == UINT64_MAX ? 0 : counter; }

std::chrono::milliseconds Time(const uint8_t* p) {
  const uint32_t s = Get32(p);
  if (s == UINT32_MAX) return std::chrono::milliseconds{0};
  return std::chrono::seconds{s} + std::chrono::milliseconds{Get32(p + 4) / 1000000};
}

// ofp_stats (OpenFlow 1.5.1 section 7.2.4) at the front of `data`; false: no whole one.
bool ReadStats(ByteView data, FoundBinding* binding) {
  if (data.size() < 4) return false;
  const size_t length = Get16(data.data() + 2);
  if (length < 4 || length > data.size()) return false;
  ByteView rest = data.subspan(4, length - 4);
  while (!rest.empty()) {
    if (rest.size() < 4) return false;
    const uint32_t header = Get32(rest.data());
    const size_t size = header & 0xff;
    if (rest.size() < 4 + size) return false;
    const uint8_t* value = rest.data() + 4;
    switch (header) {
      case 0x80020008: binding->age = Time(value); break;
      case 0x80020208: binding->idle_age = Time(value); break;
      case 0x80020808: binding->packets = Known(Get64(value)); break;
      case 0x80020a08: binding->bytes = Known(Get64(value)); break;
      default: break;
    }
    rest = rest.subspan(4 + size);
  }
  return true;
}

// What flow statistics, flow-removed and flow updates have in common. `table`, `cookie`: the flow's; its
// match stands at the front of `data`. nullopt: not a binding of ours in shape.
struct Head {
  uint8_t table = 0;
  uint16_t priority = 0;
  uint16_t idle_timeout_s = 0;
  uint16_t hard_timeout_s = 0;
};
// *pushed: see MatchedKey.
std::optional<FoundBinding> ReadBinding(const Head& head, const pipeline::Cookie& cookie, ByteView fields,
                                        bool* pushed) {
  const auto place = PlaceOfTable(head.table);
  if (!place || head.priority != pipeline::kBindingPriority || head.hard_timeout_s != 0) return std::nullopt;
  if (cookie.kind != pipeline::FlowKind::kBinding) return std::nullopt;
  const auto matched = ReadBindingKey(fields, cookie, FormOf(*place));
  if (!matched) return std::nullopt;
  *pushed = matched->pushed;
  return FoundBinding{.key = matched->key,
                      .instance = cookie.instance,
                      .idle_timeout = std::chrono::seconds{head.idle_timeout_s},
                      .place = *place,
                      .client_bits = matched->client_bits};
}

constexpr const char* kStatsReply = "a flow statistics reply";

// Calls `entry` (a Status of a ByteView: one ofp15_flow_desc) for each flow of a reply.
template <typename Entry>
Status ForEachFlow(ByteView message, Entry entry) {
  if (MessageType(message) != MsgType::kMultipartReply || message.size() < kMultipartHead) {
    return Unreadable(kStatsReply, message);
  }
  ByteView rest = message.subspan(kMultipartHead);
  while (!rest.empty()) {
    if (rest.size() < kFlowDescHead) return Unreadable(kStatsReply, message);
    const size_t length = Get16(rest.data());
    if (length < kFlowDescHead || length > rest.size()) return Unreadable(kStatsReply, message);
    if (Status read = entry(rest.first(length)); !read.ok()) return read;
    rest = rest.subspan(length);
  }
  return Ok();
}

}  // namespace

Status ReadFlowStats(ByteView message, FoundFlows* found) {
  return ForEachFlow(message, [&](ByteView entry) -> Status {
    const auto cookie = pipeline::DecodeCookie(Get64(entry.data() + 16));
    if (!cookie || cookie->kind == pipeline::FlowKind::kNeighbor) return Ok();
    const auto match = CutMatch(entry.subspan(kFlowDescHead));
    if (!match) return Unreadable(kStatsReply, message);
    const Head head{.table = entry[4],
                    .priority = Get16(entry.data() + 6),
                    .idle_timeout_s = Get16(entry.data() + 8),
                    .hard_timeout_s = Get16(entry.data() + 10)};
    bool pushed = false;
    auto binding = ReadBinding(head, *cookie, match->fields, &pushed);
    if (binding) {
      if (!pushed && binding->place == BindingPlace::kTimed && BindingEncoder::FormsDiffer(binding->key)) {
        found->learning.insert(binding->key.service);
      }
      if (!ReadStats(entry.subspan(kFlowDescHead + match->size), &*binding)) {
        return Unreadable(kStatsReply, message);
      }
      found->bindings.push_back(*binding);
      return Ok();
    }
    // With our cookie but not readable as a binding: shown as a flow, so that the sync removes it.
    Result<FlowImage> image = ImageFromStats(message.first(kMultipartHead), entry);
    if (!image) return image.error();
    found->images.push_back(std::move(*image));
    return Ok();
  });
}

Status ReadUnbound(ByteView message, std::vector<UnboundPackets>* packets) {
  return ForEachFlow(message, [&](ByteView entry) -> Status {
    const auto cookie = pipeline::DecodeCookie(Get64(entry.data() + 16));
    if (!cookie || cookie->kind != pipeline::FlowKind::kUnbound) return Ok();
    const auto match = CutMatch(entry.subspan(kFlowDescHead));
    FoundBinding counters;
    if (!match || !ReadStats(entry.subspan(kFlowDescHead + match->size), &counters)) {
      return Unreadable(kStatsReply, message);
    }
    packets->push_back({.service = cookie->service, .packets = counters.packets});
    return Ok();
  });
}

Result<RemovedFlow> ReadFlowRemoved(ByteView message) {
  if (message.size() < kRemovedHead) return Unreadable("a flow-removed", message);
  const auto match = CutMatch(message.subspan(kRemovedHead));
  if (!match) return Unreadable("a flow-removed", message);
  RemovedFlow removed;
  const auto cookie = pipeline::DecodeCookie(Get64(message.data() + 16));
  if (!cookie) return removed;
  removed.kind = cookie->kind;
  removed.reason = message[9] <= 2 ? static_cast<RemovedReason>(message[9]) : RemovedReason::kOther;
  if (cookie->kind != pipeline::FlowKind::kBinding) {
    removed.ours = true;
    if (cookie->kind != pipeline::FlowKind::kUnbound) return removed;
    if (!ReadStats(message.subspan(kRemovedHead + match->size), &removed.binding)) {
      return Unreadable("a flow-removed", message);
    }
    removed.unbound = {.service = cookie->service, .packets = removed.binding.packets, .ended = true};
    return removed;
  }
  const Head head{.table = message[8],
                  .priority = Get16(message.data() + 10),
                  .idle_timeout_s = Get16(message.data() + 12),
                  .hard_timeout_s = Get16(message.data() + 14)};
  bool pushed = false;
  auto binding = ReadBinding(head, *cookie, match->fields, &pushed);
  if (!binding) return removed;
  if (!ReadStats(message.subspan(kRemovedHead + match->size), &*binding)) {
    return Unreadable("a flow-removed", message);
  }
  removed.ours = true;
  // An idle timeout tells exactly how long the last packet is ago.
  binding->idle_age = std::chrono::milliseconds{0};
  if (removed.reason == RemovedReason::kIdle) binding->idle_age = binding->idle_timeout;
  removed.binding = *binding;
  return removed;
}

Status ReadFlowUpdates(ByteView message, FlowUpdates* updates) {
  updates->learned.clear();
  updates->paused = false;
  updates->resumed = false;
  if (message.size() < kMultipartHead) return Unreadable("a flow update", message);
  ByteView rest = message.subspan(kMultipartHead);
  while (!rest.empty()) {
    if (rest.size() < 4) return Unreadable("a flow update", message);
    const size_t length = Get16(rest.data());
    const uint16_t event = Get16(rest.data() + 2);
    if (length < 8 || length % 8 != 0 || length > rest.size()) return Unreadable("a flow update", message);
    const ByteView entry = rest.first(length);
    rest = rest.subspan(length);
    if (event == kPaused) updates->paused = true;
    if (event == kResumed) updates->resumed = true;
    if (event > kResumed) return Unreadable("a flow update", message);
    if (event != kInitial && event != kAdded && event != kModified) continue;
    if (length < kFlowUpdateHead) return Unreadable("a flow update", message);
    const auto match = CutMatch(entry.subspan(kFlowUpdateHead));
    if (!match) return Unreadable("a flow update", message);
    const auto cookie = pipeline::DecodeCookie(Get64(entry.data() + 16));
    if (!cookie) continue;
    bool pushed = false;
    const auto binding = ReadBinding({.table = entry[4],
                                      .priority = Get16(entry.data() + 10),
                                      .idle_timeout_s = Get16(entry.data() + 6),
                                      .hard_timeout_s = Get16(entry.data() + 8)},
                                     *cookie, match->fields, &pushed);
    if (binding) updates->learned.push_back(*binding);
  }
  return Ok();
}

}  // namespace dyncast::openflow
