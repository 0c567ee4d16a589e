#include "agent/io/sock_diag.h"

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "agent/io/netns.h"

namespace dyncast::agent {
namespace {

constexpr size_t kMaxFilteredPorts = 1000;  // 12 bytes each; a jump holds 16 bits

// The kernel's filter program 'source port is one of these' (inet_diag_bc_sk in net/ipv4/inet_diag.c):
// a jump to the program's end accepts, one to four bytes behind it refuses.
std::vector<inet_diag_bc_op> PortFilter(std::vector<uint16_t> ports) {
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  if (ports.size() > kMaxFilteredPorts) return {};
  constexpr size_t kOp = sizeof(inet_diag_bc_op);
  const size_t total = ports.size() * 3 - 1;  // compare, its port, and a jump but for the last
  std::vector<inet_diag_bc_op> program;
  program.reserve(total);
  for (size_t i = 0; i < ports.size(); ++i) {
    const bool last = i + 1 == ports.size();
    program.push_back({.code = INET_DIAG_BC_S_EQ, .yes = 2 * kOp, .no = static_cast<uint16_t>(3 * kOp)});
    program.push_back({.code = 0, .yes = 0, .no = ports[i]});
    if (last) break;
    const size_t left = total - program.size();
    program.push_back({.code = INET_DIAG_BC_JMP, .yes = kOp, .no = static_cast<uint16_t>(left * kOp)});
  }
  return program;
}

IpAddress SourceAddress(const inet_diag_msg& msg) {
  if (msg.idiag_family == AF_INET) return IpAddress::V4(ntohl(msg.id.idiag_src[0]));
  std::array<uint8_t, 16> octets;
  std::memcpy(octets.data(), msg.id.idiag_src, octets.size());
  return IpAddress::V6(octets);
}

bool OnlyV6(const nlmsghdr* header) {
  const auto* attribute =
      static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(header, sizeof(inet_diag_msg)));
  const char* tail = static_cast<const char*>(mnl_nlmsg_get_payload_tail(header));
  while (mnl_attr_ok(attribute, static_cast<int>(tail - reinterpret_cast<const char*>(attribute)))) {
    if (mnl_attr_get_type(attribute) == INET_DIAG_SKV6ONLY) return mnl_attr_get_u8(attribute) != 0;
    attribute = mnl_attr_next(attribute);
  }
  return false;
}

struct Collector {
  const std::vector<ListeningPort>* ports;
  std::vector<uint32_t> sessions;
  std::vector<std::optional<uint32_t>> queue;

  void Take(const nlmsghdr* header) {
    const auto* msg = static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(header));
    const uint16_t port = ntohs(msg->id.idiag_sport);
    const IpAddress source = SourceAddress(*msg);
    for (size_t i = 0; i < ports->size(); ++i) {
      const ListeningPort& wanted = (*ports)[i];
      if (wanted.port != port) continue;
      if (msg->idiag_state == TCP_ESTABLISHED) {
        if (source == wanted.address) ++sessions[i];
        continue;
      }
      bool listens = source == wanted.address;
      if (msg->idiag_family == AF_INET) listens |= wanted.address.is_v4() && source == IpAddress::V4(0);
      if (msg->idiag_family == AF_INET6 && source.is_none()) {
        listens |= !wanted.address.is_v4() || !OnlyV6(header);
      }
      if (listens) queue[i] = queue[i].value_or(0) + msg->idiag_rqueue;
    }
  }
  static int OnMessage(const nlmsghdr* header, void* self) {
    if (mnl_nlmsg_get_payload_len(header) >= sizeof(inet_diag_msg))
      static_cast<Collector*>(self)->Take(header);
    return MNL_CB_OK;
  }
};

}  // namespace

struct SocketReader::Handle {
  mnl_socket* socket = nullptr;
  uint32_t sequence = 0;
  dev_t device = 0;  // of the namespace's file, to notice that another took its name
  ino_t inode = 0;
  ~Handle() {
    if (socket != nullptr) mnl_socket_close(socket);
  }

  // 0, or the errno of what failed.
  int Dump(uint8_t family, const std::vector<inet_diag_bc_op>& filter, std::vector<char>* buffer,
           Collector* collector) {
    std::vector<char> request(NLMSG_ALIGN(sizeof(nlmsghdr)) + NLMSG_ALIGN(sizeof(inet_diag_req_v2)) + 64 +
                              filter.size() * sizeof(inet_diag_bc_op));
    nlmsghdr* header = mnl_nlmsg_put_header(request.data());
    header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = ++sequence;
    auto* body = static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(header, sizeof(inet_diag_req_v2)));
    body->sdiag_family = family;
    body->sdiag_protocol = IPPROTO_TCP;
    body->idiag_states = (1u << TCP_ESTABLISHED) | (1u << TCP_LISTEN);
    if (!filter.empty()) {
      mnl_attr_put(header, INET_DIAG_REQ_BYTECODE, filter.size() * sizeof(inet_diag_bc_op), filter.data());
    }
    if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0) return errno;
    while (true) {
      // The kernel has the answer ready before it returns from the send: this never waits.
      const ssize_t got = mnl_socket_recvfrom(socket, buffer->data(), buffer->size());
      if (got < 0) return errno;
      const int more = mnl_cb_run(buffer->data(), static_cast<size_t>(got), sequence,
                                  mnl_socket_get_portid(socket), &Collector::OnMessage, collector);
      if (more < 0) return errno;
      if (more == MNL_CB_STOP) return 0;
    }
  }
};

SocketReader::SocketReader() : buffer_(size_t{32} << 10) {}
SocketReader::~SocketReader() = default;

Result<SocketReader::Handle*> SocketReader::Open(const std::string& network_namespace) {
  struct stat file {};
  if (!network_namespace.empty() && stat(network_namespace.c_str(), &file) != 0) {
    const int error_number = errno;
    handles_.erase(network_namespace);
    return NamespaceError(network_namespace, error_number);
  }
  std::unique_ptr<Handle>& handle = handles_[network_namespace];
  if (handle && handle->device == file.st_dev && handle->inode == file.st_ino) return handle.get();
  handle.reset();
  const auto fd = OpenSocketIn(network_namespace, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
  if (!fd) return fd.error();
  auto opened = std::make_unique<Handle>();
  opened->socket = mnl_socket_fdopen(*fd);
  if (opened->socket == nullptr) {
    close(*fd);
    return MakeError(Errc::kIo, std::strerror(errno), "sock_diag");
  }
  if (mnl_socket_bind(opened->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
    return MakeError(Errc::kIo, std::strerror(errno), "sock_diag");
  }
  opened->device = file.st_dev;
  opened->inode = file.st_ino;
  handle = std::move(opened);
  return handle.get();
}

Result<std::vector<SocketReadings>> SocketReader::Read(const std::string& network_namespace,
                                                       const std::vector<ListeningPort>& ports) {
  std::vector<SocketReadings> readings(ports.size());
  if (ports.empty()) return readings;
  const auto handle = Open(network_namespace);
  if (!handle) return handle.error();
  std::vector<uint16_t> numbers;
  for (const ListeningPort& port : ports) numbers.push_back(port.port);
  const std::vector<inet_diag_bc_op> filter = PortFilter(std::move(numbers));

  Collector collector{.ports = &ports,
                      .sessions = std::vector<uint32_t>(ports.size()),
                      .queue = std::vector<std::optional<uint32_t>>(ports.size())};
  // Sockets of IPv6 serve IPv4 addresses too (dual-stack listeners): both families, always.
  for (const uint8_t family : {uint8_t{AF_INET}, uint8_t{AF_INET6}}) {
    const int error_number = (*handle)->Dump(family, filter, &buffer_, &collector);
    if (error_number != 0 && !(family == AF_INET6 && error_number == ENOENT)) {  // ENOENT: no IPv6 here
      Error error = MakeError(Errc::kIo, std::strerror(error_number), "sock_diag");
      if (!network_namespace.empty()) error.where += " in " + network_namespace;
      handles_.erase(network_namespace);  // what is left of the dump must not be taken for the next one
      return error;
    }
  }
  for (size_t i = 0; i < ports.size(); ++i) {
    readings[i].accept_queue = collector.queue[i];
    if (collector.queue[i] || collector.sessions[i] != 0) readings[i].sessions = collector.sessions[i];
  }
  return readings;
}

}  // namespace dyncast::agent
