// libopenvswitch's public headers in the order that C++ needs. For .cc files of this folder only.
#pragma once

#include <arpa/inet.h>
#include <openvswitch/dynamic-string.h>
#include <openvswitch/match.h>
#include <openvswitch/ofp-actions.h>
#include <openvswitch/ofp-errors.h>
#include <openvswitch/ofp-flow.h>
#include <openvswitch/ofp-meter.h>
#include <openvswitch/ofp-monitor.h>
#include <openvswitch/ofp-msgs.h>
#include <openvswitch/ofp-packet.h>
#include <openvswitch/ofpbuf.h>

#include <memory>

namespace dyncast::openflow {

// Frees what libopenvswitch allocated.
struct OfpbufDelete {
  void operator()(ofpbuf* b) const { ofpbuf_delete(b); }
};
using OfpbufPtr = std::unique_ptr<ofpbuf, OfpbufDelete>;

}  // namespace dyncast::openflow
