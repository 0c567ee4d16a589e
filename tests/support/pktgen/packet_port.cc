#include "tests/support/pktgen/packet_port.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace dyncast::pktgen {
namespace {

constexpr size_t kSlotBytes = 2048;
constexpr size_t kSlots = 16384;
constexpr size_t kBatch = 64;

int OpenNamespace(const std::string& name) {
  const std::string path = name == "-" ? "/proc/self/ns/net" : "/run/netns/" + name;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    FailErrno("network namespace " + name);
  }
  return fd;
}

void Option(int fd, int name, int value, const char* what) {
  if (setsockopt(fd, SOL_PACKET, name, &value, sizeof value) != 0) {
    FailErrno(what);
  }
}

int OpenSocket(const std::string& where, int interface, int protocol) {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    FailErrno("AF_PACKET socket");
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(static_cast<uint16_t>(protocol));
  address.sll_ifindex = interface;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    FailErrno("bind to " + where);
  }
  return fd;
}

}  // namespace

void Fail(const std::string& what) {
  std::fprintf(stderr, "dyncast-pktgen: %s\n", what.c_str());
  std::exit(1);
}

void FailErrno(const std::string& what) { Fail(what + ": " + std::strerror(errno)); }

uint64_t RealtimeNs() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

PacketPort::PacketPort(const std::string& where) : where_(where) {
  const size_t colon = where.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == where.size()) {
    Fail("'" + where + "' must be NAMESPACE:INTERFACE");
  }
  const std::string name = where.substr(colon + 1);
  const int own = OpenNamespace("-");
  const int target = OpenNamespace(where.substr(0, colon));
  if (setns(target, CLONE_NEWNET) != 0) {
    FailErrno("entering the namespace of " + where);
  }
  const unsigned interface = if_nametoindex(name.c_str());
  if (interface == 0) {
    FailErrno("interface " + where);
  }
  send_ = OpenSocket(where, static_cast<int>(interface), 0);
  Option(send_, PACKET_QDISC_BYPASS, 1, "PACKET_QDISC_BYPASS");
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  if (ioctl(send_, SIOCGIFHWADDR, &request) != 0) {
    FailErrno("MAC address of " + where);
  }
  std::copy_n(reinterpret_cast<const uint8_t*>(request.ifr_hwaddr.sa_data), 6, mac_.octets.begin());

  receive_ = OpenSocket(where, static_cast<int>(interface), 0);
  Option(receive_, PACKET_VERSION, TPACKET_V2, "PACKET_VERSION");
  Option(receive_, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING");
  tpacket_req ring{};
  ring.tp_block_size = 1 << 16;
  ring.tp_frame_size = kSlotBytes;
  ring.tp_frame_nr = kSlots;
  ring.tp_block_nr = static_cast<unsigned>(kSlots * kSlotBytes) >> 16;
  if (setsockopt(receive_, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) != 0) {
    FailErrno("receive ring of " + where);
  }
  ring_bytes_ = kSlots * kSlotBytes;
  void* memory = mmap(nullptr, ring_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, receive_, 0);
  if (memory == MAP_FAILED) {
    FailErrno("mapping the receive ring of " + where);
  }
  ring_ = static_cast<uint8_t*>(memory);
  packet_mreq promiscuous{};
  promiscuous.mr_ifindex = static_cast<int>(interface);
  promiscuous.mr_type = PACKET_MR_PROMISC;
  setsockopt(receive_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous);
  // Only now, so that no other interface's frames get into the ring.
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(interface);
  if (bind(receive_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    FailErrno("bind to " + where);
  }
  if (setns(own, CLONE_NEWNET) != 0) {
    FailErrno("returning from " + where);
  }
  close(own);
  close(target);
}

PacketPort::~PacketPort() {
  if (ring_ != nullptr) {
    munmap(ring_, ring_bytes_);
  }
  close(send_);
  close(receive_);
}

size_t PacketPort::Send(const uint8_t* frames, size_t stride, size_t size, size_t count) {
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> parts{};
  count = std::min(count, kBatch);
  for (size_t i = 0; i < count; ++i) {
    parts[i] = {.iov_base = const_cast<uint8_t*>(frames) + i * stride, .iov_len = size};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int sent = sendmmsg(send_, messages.data(), static_cast<unsigned>(count), 0);
  return sent < 0 ? 0 : static_cast<size_t>(sent);
}

void PacketPort::SendOne(std::span<const uint8_t> frame, uint16_t vlan) {
  if (vlan == 0) {
    Send(frame.data(), frame.size(), frame.size(), 1);
    return;
  }
  std::vector<uint8_t> tagged(frame.begin(), frame.begin() + 12);
  tagged.insert(tagged.end(),
                {0x81, 0x00, static_cast<uint8_t>(vlan >> 8), static_cast<uint8_t>(vlan & 0xff)});
  tagged.insert(tagged.end(), frame.begin() + 12, frame.end());
  Send(tagged.data(), tagged.size(), tagged.size(), 1);
}

size_t PacketPort::Receive(size_t most, const std::function<void(const Received&)>& take) {
  size_t taken = 0;
  while (taken < most) {
    auto* header = reinterpret_cast<tpacket2_hdr*>(ring_ + next_ * kSlotBytes);
    std::atomic_ref<uint32_t> status(header->tp_status);
    const uint32_t flags = status.load(std::memory_order_acquire);
    if ((flags & TP_STATUS_USER) == 0) {
      break;
    }
    uint8_t* at = ring_ + next_ * kSlotBytes + header->tp_mac;
    take(
        {.frame = {at, header->tp_snaplen},
         .vlan = static_cast<uint16_t>((flags & TP_STATUS_VLAN_VALID) != 0 ? header->tp_vlan_tci & 0xfff : 0),
         .at_ns = uint64_t{header->tp_sec} * 1'000'000'000u + header->tp_nsec});
    status.store(TP_STATUS_KERNEL, std::memory_order_release);
    next_ = (next_ + 1) % kSlots;
    ++taken;
  }
  return taken;
}

uint64_t PacketPort::TakeRingDrops() {
  tpacket_stats stats{};
  socklen_t size = sizeof stats;
  return getsockopt(receive_, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0 ? stats.tp_drops : 0;
}

}  // namespace dyncast::pktgen
