#include "tests/support/pktgen/receiving.h"

#include <poll.h>

#include <algorithm>

#include "tests/support/pktgen/neighbours.h"

namespace dyncast::pktgen {
namespace {

constexpr size_t kBatch = 64;

}  // namespace

Receiving::Receiving(const Setup& setup, uint32_t run, PacketPort* client,
                     std::vector<std::unique_ptr<Tally>>* tallies)
    : setup_(setup), run_(run), client_(client), tallies_(*tallies), progress_(tallies->size()) {
  for (size_t i = 0; i < setup.receivers.size(); ++i) {
    const Receiver& receiver = setup.receivers[i];
    auto& interface = interfaces_[receiver.where];
    if (!interface.port) {
      interface.port = std::make_unique<PacketPort>(receiver.where);
    }
    for (const IpAddress& address : receiver.addresses) {
      interface.by_address[{address, receiver.vlan}] = static_cast<uint16_t>(i);
    }
    if (receiver.addresses.empty()) {
      interface.any = static_cast<uint16_t>(i);
    }
  }
}

void Receiving::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Receiving::Stop() {
  stopping_ = true;
  thread_.join();
}

void Receiving::Loop() {
  std::vector<pollfd> polls;
  std::vector<Interface*> order;
  polls.push_back({.fd = client_->descriptor(), .events = POLLIN, .revents = 0});
  for (auto& [where, interface] : interfaces_) {
    polls.push_back({.fd = interface.port->descriptor(), .events = POLLIN, .revents = 0});
    order.push_back(&interface);
  }
  while (!stopping_) {
    poll(polls.data(), polls.size(), 20);
    bool more = true;
    while (more && !stopping_) {
      more = client_->Receive(kBatch, [this](const Received& r) { AtClient(r); }) == kBatch;
      for (Interface* interface : order) {
        more |=
            interface->port->Receive(kBatch, [&](const Received& r) { AtReceiver(interface, r); }) == kBatch;
        FlushAnswers(interface);
      }
    }
  }
  ring_drops_ = client_->TakeRingDrops();
  for (Interface* interface : order) {
    ring_drops_ += interface->port->TakeRingDrops();
  }
}

void Receiving::AtClient(const Received& received) {
  const auto seen = ReadFrame(received.frame, run_);
  if (!seen) {
    if (setup_.neighbours == Neighbours::kAnswer && received.vlan == setup_.client_vlan) {
      if (const auto answer = AnswerNeighbour(received.frame, client_->mac(), [this](const IpAddress& a) {
            return setup_.space.IsClient(a);
          })) {
        client_->SendOne(*answer, setup_.client_vlan);
      }
    }
    return;
  }
  if (seen->stamp.kind != StampKind::kAnswer || seen->stamp.stream >= tallies_.size()) {
    return;
  }
  Tally& tally = *tallies_[seen->stamp.stream];
  const Stream& stream = setup_.streams[seen->stamp.stream];
  const FlowKey key = setup_.space.At(stream.first_flow + seen->stamp.flow);
  const bool icmp = seen->transport == Transport::kIcmp;
  const bool right = seen->source == setup_.space.sid && seen->destination == key.client &&
                     (icmp ? seen->source_port == key.source_port
                           : seen->source_port == key.port && seen->port == key.source_port);
  if (!right || received.vlan != setup_.client_vlan) {
    ++tally.wrong_answers;
    return;
  }
  tally.bad_checksums += seen->checksums_right ? 0 : 1;
  if (tally.Answered(seen->stamp.sequence)) {
    tally.rtt.Add(received.at_ns - std::min(seen->stamp.sent_ns, received.at_ns));
    if (setup_.answering == Answering::kAnswer) {
      progress_[seen->stamp.stream].fetch_add(1, std::memory_order_relaxed);
    }
  }
}

void Receiving::AtReceiver(Interface* interface, const Received& received) {
  const auto seen = ReadFrame(received.frame, run_);
  if (!seen) {
    AnswerForReceiver(interface, received);
    return;
  }
  if (seen->stamp.kind != StampKind::kDemand || seen->stamp.stream >= tallies_.size()) {
    return;
  }
  uint16_t instance = interface->any;
  if (const auto found = interface->by_address.find({seen->destination, received.vlan});
      found != interface->by_address.end()) {
    instance = found->second;
  }
  if (instance == kNobody) {
    ++elsewhere_;
    return;
  }
  Tally& tally = *tallies_[seen->stamp.stream];
  const Stream& stream = setup_.streams[seen->stamp.stream];
  tally.bad_checksums += seen->checksums_right ? 0 : 1;
  if (!tally.Delivered(seen->stamp.flow, seen->stamp.sequence, instance, received.at_ns)) {
    return;
  }
  // Of a burst only the first packet is the demand.
  if (stream.pattern == Pattern::kRoundRobin || seen->stamp.sequence % stream.packets_per_flow == 0) {
    tally.latency.Add(received.at_ns - std::min(seen->stamp.sent_ns, received.at_ns));
  }
  if (setup_.answering == Answering::kAnswer) {
    MakeAnswer(*seen, received.frame);
    QueueAnswer(interface, received);
  } else {
    progress_[seen->stamp.stream].fetch_add(1, std::memory_order_relaxed);
  }
}

void Receiving::QueueAnswer(Interface* interface, const Received& received) {
  if (received.vlan != 0) {
    interface->port->SendOne(received.frame, received.vlan);
    return;
  }
  if (interface->answer_bytes != received.frame.size()) {
    FlushAnswers(interface);
    interface->answer_bytes = received.frame.size();
  }
  interface->answers.insert(interface->answers.end(), received.frame.begin(), received.frame.end());
}

void Receiving::FlushAnswers(Interface* interface) {
  const size_t size = interface->answer_bytes;
  const size_t count = size == 0 ? 0 : interface->answers.size() / size;
  for (size_t sent = 0; sent < count;) {
    const size_t now = interface->port->Send(&interface->answers[sent * size], size, size, count - sent);
    if (now == 0) {
      break;  // counted as unanswered
    }
    sent += now;
  }
  interface->answers.clear();
}

void Receiving::AnswerForReceiver(Interface* interface, const Received& received) {
  if (setup_.neighbours != Neighbours::kAnswer) {
    return;
  }
  if (const auto answer = AnswerNeighbour(received.frame, interface->port->mac(), [&](const IpAddress& a) {
        return interface->by_address.contains({a, received.vlan});
      })) {
    interface->port->SendOne(*answer, received.vlan);
  }
}

}  // namespace dyncast::pktgen
