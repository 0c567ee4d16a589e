#include "ovs-integration/openflow/flow_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "ovs-integration/openflow/ovs_headers.h"
#include "ovs-integration/pipeline/layout.h"

namespace dyncast::openflow {
namespace {

constexpr size_t kMatchOffset = 48;  // of OFPT_FLOW_MOD
constexpr uint8_t kDeleteStrict = 4;

// ofpbufs whose memory is kept for the thread's life would hide leaks; these are freed with the scope.
class ScratchBuf {
 public:
  ScratchBuf() { ofpbuf_use_stub(&buf_, stub_, sizeof stub_); }
  ~ScratchBuf() { ofpbuf_uninit(&buf_); }
  ScratchBuf(const ScratchBuf&) = delete;
  ScratchBuf& operator=(const ScratchBuf&) = delete;
  ofpbuf* get() { return &buf_; }

 private:
  alignas(8) uint8_t stub_[1024];
  ofpbuf buf_;
};

// A message in aligned memory, as the library's decoders like it. Copies only if it must.
class AlignedMessage {
 public:
  explicit AlignedMessage(ByteView message) {
    const void* data = message.data();
    if (reinterpret_cast<uintptr_t>(data) % 8 != 0) {
      copy_.resize((message.size() + 7) / 8);
      std::memcpy(copy_.data(), message.data(), message.size());
      data = copy_.data();
    }
    ofpbuf_use_const(&buf_, data, message.size());
  }
  ofpbuf* buf() { return &buf_; }
  // The library's decoders abort on messages of another kind or too short for theirs: ask first.
  bool Is(ofptype wanted) const {
    ofptype type;
    return ofptype_decode(&type, header()) == 0 && type == wanted;
  }
  const ofp_header* header() const { return static_cast<const ofp_header*>(buf_.data); }

 private:
  std::vector<uint64_t> copy_;
  ofpbuf buf_;
};

Error Unreadable(const char* what, ByteView message) {
  return MakeError(Errc::kProtocol, fmt::format("{} of {} octets cannot be read", what, message.size()));
}

FlowImage Encode(const ofputil_flow_mod& fm) {
  const OfpbufPtr msg(ofputil_encode_flow_mod(&fm, OFPUTIL_P_OF15_OXM));
  const auto* data = static_cast<const uint8_t*>(msg->data);
  FlowImage image;
  image.add.assign(data, data + msg->size);
  Put16(image.add.data() + 2, static_cast<uint16_t>(image.add.size()));
  Put32(image.add.data() + 4, 0);
  const size_t match_size = Get16(data + kMatchOffset + 2);
  image.match_end = kMatchOffset + (match_size + 7) / 8 * 8;
  return image;
}

ofputil_flow_mod EmptyFlowMod() {
  ofputil_flow_mod fm = {};
  fm.command = OFPFC_ADD;
  fm.buffer_id = UINT32_MAX;
  fm.out_port = OFPP_ANY;
  fm.out_group = OFPG_ANY;
  return fm;
}

FlowImage ImageOf(const ofputil_flow_stats& fs) {
  ofputil_flow_mod fm = EmptyFlowMod();
  minimatch_init(&fm.match, &fs.match);
  fm.priority = fs.priority;
  fm.table_id = fs.table_id;
  fm.new_cookie = fs.cookie;
  fm.idle_timeout = fs.idle_timeout;
  fm.hard_timeout = fs.hard_timeout;
  fm.importance = fs.importance;
  fm.flags = static_cast<ofputil_flow_mod_flags>(fs.flags & OFPUTIL_FF_STATE);
  fm.ofpacts = const_cast<ofpact*>(fs.ofpacts);  // NOLINT: the encoder only reads
  fm.ofpacts_len = fs.ofpacts_len;
  FlowImage image = Encode(fm);
  minimatch_destroy(&fm.match);
  return image;
}

}  // namespace

std::string FlowImage::Key() const {
  std::string key;
  key.reserve(3 + match_end - kMatchOffset);
  key.push_back(static_cast<char>(add[24]));
  const auto* bytes = reinterpret_cast<const char*>(add.data());
  key.append(bytes + 30, 2);
  key.append(bytes + kMatchOffset, match_end - kMatchOffset);
  return key;
}

bool FlowImage::SameBody(const FlowImage& other) const {
  const auto same = [&](size_t from, size_t size) {
    return std::memcmp(add.data() + from, other.add.data() + from, size) == 0;
  };
  return same(8, 8) && same(26, 4) && same(44, 4) &&
         std::equal(add.begin() + static_cast<ptrdiff_t>(match_end), add.end(),
                    other.add.begin() + static_cast<ptrdiff_t>(other.match_end), other.add.end());
}

Bytes FlowImage::MakeDelete() const {
  Bytes message(add.begin(), add.begin() + static_cast<ptrdiff_t>(match_end));
  uint8_t* p = message.data();
  Put16(p + 2, static_cast<uint16_t>(message.size()));
  Put64(p + 8, pipeline::kCookieOwner << 56);
  Put64(p + 16, pipeline::kCookieOwnerMask);
  p[25] = kDeleteStrict;
  Put32(p + 26, 0);           // timeouts
  Put32(p + 32, UINT32_MAX);  // no buffer
  Put32(p + 36, UINT32_MAX);  // any port
  Put32(p + 40, UINT32_MAX);  // any group
  Put32(p + 44, 0);           // flags, importance
  return message;
}

std::string FlowImage::ToString() const {
  struct ds text = DS_EMPTY_INITIALIZER;
  ofputil_flow_mod_format(&text, reinterpret_cast<const ofp_header*>(add.data()), nullptr, nullptr, 0);
  std::string result = ds_cstr(&text);
  ds_destroy(&text);
  const size_t start = result.find_first_not_of(' ');
  return start == std::string::npos ? std::string() : result.substr(start);
}

Result<FlowImage> ImageFromText(const pipeline::Flow& flow) {
  std::string text = fmt::format("table={},priority={},cookie={:#x}", flow.table, flow.priority, flow.cookie);
  if (flow.idle_timeout_s != 0) text += fmt::format(",idle_timeout={}", flow.idle_timeout_s);
  if (flow.hard_timeout_s != 0) text += fmt::format(",hard_timeout={}", flow.hard_timeout_s);
  if (flow.send_flow_removed) text += ",send_flow_rem";
  if (!flow.match.empty()) text += "," + flow.match;
  text += ",actions=" + (flow.actions.empty() ? "drop" : flow.actions);

  ofputil_flow_mod parsed;
  ofputil_protocol usable{};
  char* error = parse_ofp_flow_mod_str(&parsed, text.c_str(), nullptr, nullptr, OFPFC_ADD, &usable);
  if (error != nullptr) {
    const std::string why = error;
    std::free(error);
    return MakeError(Errc::kInvalid, fmt::format("flow '{}': {}", text, why));
  }
  if ((usable & OFPUTIL_P_OF15_OXM) == 0) {
    minimatch_destroy(&parsed.match);
    std::free(parsed.ofpacts);
    return MakeError(Errc::kInvalid, fmt::format("flow '{}': not possible in OpenFlow 1.5", text));
  }
  FlowImage first = Encode(parsed);
  minimatch_destroy(&parsed.match);
  std::free(parsed.ofpacts);

  // Decoded and encoded once more: a switch does the same before it reports the flow.
  ScratchBuf ofpacts;
  ofputil_flow_mod decoded;
  const enum ofperr refused =
      ofputil_decode_flow_mod(&decoded, reinterpret_cast<const ofp_header*>(first.add.data()),
                              OFPUTIL_P_OF15_OXM, nullptr, nullptr, ofpacts.get(), OFPP_MAX, 255);
  if (refused != 0) {
    return MakeError(Errc::kInvalid, fmt::format("flow '{}': {}", text, ofperr_get_name(refused)));
  }
  FlowImage image = Encode(decoded);
  minimatch_destroy(&decoded.match);
  return image;
}

Result<FlowImage> ImageFromStats(ByteView head, ByteView entry) {
  Bytes one(head.begin(), head.end());
  one.insert(one.end(), entry.begin(), entry.end());
  Put16(one.data() + 2, static_cast<uint16_t>(one.size()));
  AlignedMessage msg(one);
  if (!msg.Is(OFPTYPE_FLOW_STATS_REPLY)) return Unreadable("a flow statistics reply", one);
  ScratchBuf ofpacts;
  ofputil_flow_stats fs;
  if (ofputil_decode_flow_stats_reply(&fs, msg.buf(), true, ofpacts.get()) != 0) {
    return Unreadable("a flow in a statistics reply", one);
  }
  return ImageOf(fs);
}

Status ReadMeterConfigs(ByteView message, std::vector<pipeline::Meter>* found) {
  AlignedMessage msg(message);
  if (!msg.Is(OFPTYPE_METER_CONFIG_STATS_REPLY)) return Unreadable("a meter reply", message);
  while (true) {
    ScratchBuf bands;
    ofputil_meter_config config;
    const int result = ofputil_decode_meter_config(msg.buf(), &config, bands.get());
    if (result == EOF) return Ok();
    if (result != 0) {
      return Unreadable("a meter reply", message);
    }
    pipeline::Meter meter{.id = config.meter_id, .packets_per_s = 0, .burst_packets = 0};
    if (config.n_bands == 1 && config.bands[0].type == OFPMBT13_DROP &&
        config.flags == (OFPMF13_PKTPS | OFPMF13_BURST)) {
      meter.packets_per_s = config.bands[0].rate;
      meter.burst_packets = config.bands[0].burst_size;
    }
    found->push_back(meter);
  }
}

}  // namespace dyncast::openflow
