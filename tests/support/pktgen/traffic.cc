#include "tests/support/pktgen/traffic.h"

#include <poll.h>
#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <random>

#include "tests/support/pktgen/neighbours.h"
#include "tests/support/pktgen/packet_port.h"
#include "tests/support/pktgen/receiving.h"
#include "tests/support/pktgen/sending.h"

namespace dyncast::pktgen {
namespace {

constexpr size_t kBatch = 64;
constexpr uint64_t kSecond = 1'000'000'000;

std::atomic<bool> stop_requested{false};

void SleepNs(uint64_t ns) {
  const timespec t{.tv_sec = static_cast<time_t>(ns / kSecond), .tv_nsec = static_cast<long>(ns % kSecond)};
  nanosleep(&t, nullptr);  // lint: sleep paces the load
}

// Asks until the gateway answers, as the first client.
MacAddress FindGateway(const Setup& setup, PacketPort* port) {
  if (setup.gateway_mac) {
    return *setup.gateway_mac;
  }
  if (!setup.gateway) {
    Fail("--gateway or --gateway-mac must be given");
  }
  std::optional<MacAddress> found;
  for (int attempt = 0; attempt < 25 && !found && !stop_requested; ++attempt) {
    port->SendOne(AskNeighbour(port->mac(), setup.space.Client(0), *setup.gateway), setup.client_vlan);
    pollfd readable{.fd = port->descriptor(), .events = POLLIN, .revents = 0};
    const uint64_t until = RealtimeNs() + kSecond / 5;
    while (!found && RealtimeNs() < until) {
      poll(&readable, 1, 20);
      port->Receive(kBatch, [&](const Received& received) {
        if (const auto mac = NeighbourAnswer(received.frame, *setup.gateway);
            mac && received.vlan == setup.client_vlan) {
          found = mac;
        }
      });
    }
  }
  if (!found) {
    Fail("gateway " + setup.gateway->ToString() + " does not answer at " + setup.client);
  }
  return *found;
}

void Announce(const Setup& setup, PacketPort* port) {
  if (!setup.gateway) {
    return;
  }
  for (uint32_t i = 0; i < std::min(setup.announce, setup.space.clients) && !stop_requested; ++i) {
    port->SendOne(AskNeighbour(port->mac(), setup.space.Client(i), *setup.gateway), setup.client_vlan);
    SleepNs(200'000);
  }
}

}  // namespace

void StopOnSignals() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_requested = true; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

Outcome Execute(const Setup& setup) {
  prctl(PR_SET_TIMERSLACK, 1000);
  const uint32_t run = std::random_device{}();
  Outcome outcome;
  for (const Stream& stream : setup.streams) {
    outcome.tallies.push_back(
        std::make_unique<Tally>(stream.flows, Sending::PacketLimit(stream), setup.receivers.size()));
  }
  PacketPort client(setup.client);
  Receiving receiving(setup, run, &client, &outcome.tallies);
  const MacAddress gateway = FindGateway(setup, &client);
  receiving.Start();
  Announce(setup, &client);
  std::vector<Sending> sendings;
  for (size_t i = 0; i < setup.streams.size(); ++i) {
    sendings.emplace_back(setup, i, run, client.mac(), gateway, outcome.tallies[i].get());
  }
  outcome.frame_bytes = sendings.empty() ? 0 : sendings.front().frame_bytes();
  std::fputs("ready\n", stderr);

  const uint64_t start = RealtimeNs();
  bool sending = true;
  while (sending && !stop_requested) {
    sending = false;
    bool sent_some = false;
    uint64_t wake = kSecond / 1000;
    for (size_t i = 0; i < sendings.size(); ++i) {
      Sending& one = sendings[i];
      const uint64_t elapsed = RealtimeNs() - start;
      if (one.Done(elapsed)) {
        continue;
      }
      sending = true;
      const uint64_t progress = receiving.progress(i);
      if (const uint64_t due = one.Due(elapsed, progress); due > 0) {
        const size_t sent = one.Send(&client, due);
        sent_some |= sent > 0;
        outcome.send_refused += sent < std::min<uint64_t>(due, kSendBatch) ? 1 : 0;
        wake = 0;
      } else {
        const uint64_t next = one.NextDue(elapsed);
        wake = std::min(wake, next > elapsed ? next - elapsed : 20'000);
      }
      outcome.window_stalls += one.WriteOff(progress, elapsed) ? 1 : 0;
    }
    if (sending && !sent_some) {
      SleepNs(std::max<uint64_t>(wake, 5'000));
    }
  }

  // Until all are there, or nothing has come for a while.
  uint64_t last = 0;
  uint64_t last_ns = RealtimeNs();
  while (static_cast<double>(RealtimeNs() - last_ns) / 1e9 < setup.wait_s) {
    uint64_t all = 0;
    uint64_t sent = 0;
    for (size_t i = 0; i < sendings.size(); ++i) {
      all += receiving.progress(i);
      sent += outcome.tallies[i]->sent;
    }
    if (all >= sent) {
      break;
    }
    if (all != last) {
      last = all;
      last_ns = RealtimeNs();
    }
    SleepNs(1'000'000);
  }
  receiving.Stop();
  outcome.elsewhere = receiving.elsewhere();
  outcome.ring_drops = receiving.ring_drops();
  return outcome;
}

}  // namespace dyncast::pktgen
