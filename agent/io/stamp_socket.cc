#include "agent/io/stamp_socket.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "agent/io/sockaddr.h"

namespace dyncast::agent {
namespace {

constexpr unsigned kReceiveTimes = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE;
constexpr unsigned kSendTimes = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
constexpr int kTtl = 255;
constexpr size_t kControlOctets = 512;

Error SystemError(const char* what) {
  return MakeError(Errc::kIo, std::string(what) + ": " + std::strerror(errno));
}

// What the network said, the same for every call that may be told: kUnavailable. Else kIo.
Error NetworkError(const char* what) {
  switch (errno) {
    case ECONNREFUSED: return MakeError(Errc::kUnavailable, "nothing listens at the peer's port");
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN: return MakeError(Errc::kUnavailable, std::strerror(errno));
    default: return SystemError(what);
  }
}

Status SetInt(int fd, int level, int option, int value, const char* what) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0) return SystemError(what);
  return Ok();
}

template <typename T>
T DataOf(const cmsghdr* header) {
  T value;
  std::memcpy(&value, CMSG_DATA(header), sizeof value);
  return value;
}

int64_t SoftwareTime(const cmsghdr* header) {
  const timespec time = DataOf<scm_timestamping>(header).ts[0];
  return int64_t{time.tv_sec} * 1000000000 + time.tv_nsec;
}

bool Is(const cmsghdr* header, int level, int type) {
  return header->cmsg_level == level && header->cmsg_type == type;
}

void ReadControl(const msghdr& message, StampSocket::Received* received) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr;
       c = CMSG_NXTHDR(const_cast<msghdr*>(&message), c)) {
    if (Is(c, SOL_SOCKET, SCM_TIMESTAMPING)) {
      const int64_t time = SoftwareTime(c);
      received->kernel_time = time != 0;
      if (time != 0) received->wall_ns = time;
    } else if (Is(c, IPPROTO_IP, IP_TTL) || Is(c, IPPROTO_IPV6, IPV6_HOPLIMIT)) {
      received->ttl = static_cast<uint8_t>(DataOf<int>(c));
    } else if (Is(c, IPPROTO_IP, IP_PKTINFO)) {
      received->to = IpAddress::V4(ntohl(DataOf<in_pktinfo>(c).ipi_addr.s_addr));
    } else if (Is(c, IPPROTO_IPV6, IPV6_PKTINFO)) {
      std::array<uint8_t, 16> octets;
      const in6_pktinfo info = DataOf<in6_pktinfo>(c);
      std::memcpy(octets.data(), &info.ipi6_addr, octets.size());
      received->to = IpAddress::V6(octets);
    }
  }
}

// The one header in `control` that names the answer's source.
size_t WriteSource(const IpAddress& source, msghdr* message) {
  cmsghdr* header = CMSG_FIRSTHDR(message);
  if (source.is_v4()) {
    in_pktinfo info{};
    info.ipi_spec_dst.s_addr = htonl(source.v4());
    *header = {.cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
  }
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, source.octets().data(), 16);
  *header = {.cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO};
  std::memcpy(CMSG_DATA(header), &info, sizeof info);
  return CMSG_SPACE(sizeof info);
}

}  // namespace

int64_t UnixNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

StampSocket::~StampSocket() {
  if (fd_ >= 0) close(fd_);
}

StampSocket::StampSocket(StampSocket&& other) noexcept { *this = std::move(other); }

StampSocket& StampSocket::operator=(StampSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(v4_, other.v4_);
  std::swap(next_id_, other.next_id_);
  std::swap(tags_, other.tags_);
  return *this;
}

Status StampSocket::SetTimestamping(unsigned flags) {
  return SetInt(fd_, SOL_SOCKET, SO_TIMESTAMPING, static_cast<int>(flags), "SO_TIMESTAMPING");
}

Status StampSocket::Open(const IpAddress& family) {
  v4_ = family.is_v4();
  fd_ = socket(v4_ ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return SystemError("socket");
  if (!v4_) {
    if (const Status only = SetInt(fd_, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY"); !only) return only;
    if (const Status ttl = SetInt(fd_, IPPROTO_IPV6, IPV6_UNICAST_HOPS, kTtl, "hop limit"); !ttl) return ttl;
    return SetInt(fd_, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1, "IPV6_RECVHOPLIMIT");
  }
  if (const Status ttl = SetInt(fd_, IPPROTO_IP, IP_TTL, kTtl, "TTL"); !ttl) return ttl;
  return SetInt(fd_, IPPROTO_IP, IP_RECVTTL, 1, "IP_RECVTTL");
}

Result<StampSocket> StampSocket::OpenSender(const IpEndpoint& peer, const std::optional<IpAddress>& source) {
  StampSocket made;
  if (const Status opened = made.Open(peer.address); !opened) return opened.error();
  sockaddr_storage storage;
  if (source) {
    const socklen_t size = ToSockaddr(*source, 0, &storage);
    if (bind(made.fd_, reinterpret_cast<const sockaddr*>(&storage), size) != 0) {
      Error error = SystemError("bind");
      error.where = source->ToString();
      return error;
    }
  }
  const socklen_t size = ToSockaddr(peer.address, peer.port, &storage);
  if (connect(made.fd_, reinterpret_cast<const sockaddr*>(&storage), size) != 0) {
    Error error = NetworkError("connect");
    error.where = peer.ToString();
    return error;
  }
  // Without the kernel's times this program's own are used: not a reason to fail.
  static_cast<void>(made.SetTimestamping(kReceiveTimes | kSendTimes | SOF_TIMESTAMPING_OPT_ID));
  return made;
}

Result<StampSocket> StampSocket::OpenReflector(const IpEndpoint& listen) {
  StampSocket made;
  if (const Status opened = made.Open(listen.address); !opened) return opened.error();
  const Status info = made.v4_ ? SetInt(made.fd_, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO")
                               : SetInt(made.fd_, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
  if (!info) return info.error();
  sockaddr_storage storage;
  const socklen_t size = ToSockaddr(listen.address, listen.port, &storage);
  if (bind(made.fd_, reinterpret_cast<const sockaddr*>(&storage), size) != 0) {
    std::string hint;
    if (errno == EACCES) hint = " (a port below 1024 needs CAP_NET_BIND_SERVICE)";
    Error error = SystemError("bind");
    error.message += hint;
    error.where = listen.ToString();
    return error;
  }
  static_cast<void>(made.SetTimestamping(kReceiveTimes));
  return made;
}

uint16_t StampSocket::LocalPort() const {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return 0;
  return FromSockaddr(storage).port;
}

Result<std::optional<StampSocket::Received>> StampSocket::Receive(std::vector<char>* buffer) {
  Received received;
  alignas(cmsghdr) std::array<char, kControlOctets> control;
  iovec part = {.iov_base = buffer->data(), .iov_len = buffer->size()};
  msghdr message{};
  message.msg_name = &received.from_storage;
  message.msg_namelen = sizeof received.from_storage;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = recvmsg(fd_, &message, MSG_DONTWAIT);
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return std::optional<Received>();
    return NetworkError("receive");
  }
  received.wall_ns = UnixNanos();
  received.octets = {buffer->data(), static_cast<size_t>(got)};
  received.from = FromSockaddr(received.from_storage);
  ReadControl(message, &received);
  return std::optional<Received>(received);
}

void StampSocket::RestartNumbers() {
  while (TakeDeparture()) {
  }
  tags_.fill(std::nullopt);
  next_id_ = 0;
  static_cast<void>(SetTimestamping(kReceiveTimes));
  static_cast<void>(SetTimestamping(kReceiveTimes | kSendTimes | SOF_TIMESTAMPING_OPT_ID));
}

Status StampSocket::Send(std::string_view octets, uint32_t tag) {
  ssize_t sent = send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
  // That an earlier packet met a closed port is told here, and this one did not go: once more.
  if (sent < 0 && errno == ECONNREFUSED) sent = send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
  if (sent < 0) {
    Error error = NetworkError("send");
    RestartNumbers();  // whether the kernel has numbered it nobody knows
    return error;
  }
  tags_[next_id_ % tags_.size()] = {next_id_, tag};
  ++next_id_;
  return Ok();
}

Status StampSocket::Answer(std::string_view octets, const Received& received) {
  alignas(cmsghdr) std::array<char, kControlOctets> control{};
  iovec part = {.iov_base = const_cast<char*>(octets.data()), .iov_len = octets.size()};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_storage*>(&received.from_storage);
  message.msg_namelen = v4_ ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!received.to.is_none()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    message.msg_controllen = WriteSource(received.to, &message);
  }
  if (sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return SystemError("send");
  return Ok();
}

std::optional<StampSocket::Departure> StampSocket::TakeDeparture() {
  while (true) {
    alignas(cmsghdr) std::array<char, kControlOctets> control;
    msghdr message{};
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (recvmsg(fd_, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return std::nullopt;
    int64_t time = 0;
    std::optional<uint32_t> id;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (Is(c, SOL_SOCKET, SCM_TIMESTAMPING)) {
        time = SoftwareTime(c);
      } else if (Is(c, IPPROTO_IP, IP_RECVERR) || Is(c, IPPROTO_IPV6, IPV6_RECVERR)) {
        const auto error = DataOf<sock_extended_err>(c);
        if (error.ee_origin == SO_EE_ORIGIN_TIMESTAMPING) id = error.ee_data;
      }
    }
    if (time == 0 || !id) continue;
    const auto& tag = tags_[*id % tags_.size()];
    if (tag && tag->first == *id) return Departure{.tag = tag->second, .wall_ns = time};
  }
}

}  // namespace dyncast::agent
