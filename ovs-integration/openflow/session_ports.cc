// The session's reading of port counters: apart from the dumps, since nothing else depends on it. A switch
// that does not answer has none; one that refuses is not asked again on this connection.
#include <utility>

#include "ovs-integration/openflow/session.h"

namespace dyncast::openflow {

void Session::CountPorts() {
  if (!closed() && !ports_refused_) want_ports_ = true;
}

void Session::AskForPorts(MonoTime now) {
  if (ports_asked_ && now >= ports_asked_->sent + kReplyTimeout) ports_asked_.reset();
  if (!want_ports_ || ports_asked_ || !found_once_) return;
  want_ports_ = false;
  WrapXid(&next_xid_);
  PortsAsked& asked = ports_asked_.emplace();
  asked.sent = now;
  asked.speeds_xid = next_xid_++;
  asked.stats_xid = next_xid_++;
  WritePortRequest(&out_, asked.speeds_xid, kMultipartPortDesc);
  WritePortRequest(&out_, asked.stats_xid, kMultipartPortStats);
  counters_->messages_sent += 2;
}

bool Session::OnPortReply(uint32_t xid, uint16_t type, bool more, ByteView message) {
  if (!ports_asked_ || (xid != ports_asked_->stats_xid && xid != ports_asked_->speeds_xid)) return false;
  PortsAsked& asked = *ports_asked_;
  const bool stats = xid == asked.stats_xid;
  Status read = Ok();
  if (type != (stats ? kMultipartPortStats : kMultipartPortDesc)) {
    read = MakeError(Errc::kProtocol, "a multipart reply of another type to a question about ports");
  } else {
    read = stats ? ReadPortStats(message, &asked.ports) : ReadPortSpeeds(message, &asked.speeds);
  }
  if (!read) {
    // Wrong counters are worse than none; the next question is another chance.
    ports_asked_.reset();
    Malformed(read.error());
    return true;
  }
  if (!stats || more) return true;  // speeds were asked for first
  PortsAsked done = std::move(asked);
  ports_asked_.reset();
  for (PortCounters& port : done.ports) {
    const auto speed = done.speeds.find(port.number);
    if (speed != done.speeds.end()) port.speed_bit_s = speed->second;
  }
  listener_->OnPortsCounted(dpid_, std::move(done.ports));
  return true;
}

bool Session::OnPortsError(uint32_t xid) {
  if (!ports_asked_) return false;
  if (xid == ports_asked_->speeds_xid) return true;  // counters without speeds
  if (xid != ports_asked_->stats_xid) return false;
  ports_asked_.reset();
  ports_refused_ = true;
  want_ports_ = false;
  return true;
}

}  // namespace dyncast::openflow
