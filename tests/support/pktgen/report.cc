#include "tests/support/pktgen/report.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string_view>
#include <unordered_map>

#include "tests/support/pktgen/packet_port.h"

namespace dyncast::pktgen {
namespace {

using nlohmann::ordered_json;

double Us(uint64_t ns) { return static_cast<double>(ns) / 1000.0; }

ordered_json Latencies(const Histogram& h) {
  return {{"count", h.count()},         {"mean", h.mean_ns() / 1000.0}, {"p50", Us(h.Quantile(0.5))},
          {"p90", Us(h.Quantile(0.9))}, {"p99", Us(h.Quantile(0.99))},  {"p999", Us(h.Quantile(0.999))},
          {"max", Us(h.max_ns())}};
}

// A flow's name in map files: client, source port, port.
std::string FlowName(const FlowKey& key) {
  return key.client.ToString() + "," + std::to_string(key.source_port) + "," + std::to_string(key.port);
}

// Groups of which packets were seen on at least one, and on at least two instances.
std::pair<uint64_t, uint64_t> Groups(const Setup& setup, const Stream& stream, const Tally& tally,
                                     const Questions& questions) {
  std::unordered_map<std::string, uint16_t> instance_of;
  std::unordered_map<std::string, bool> split;
  for (uint32_t flow = 0; flow < stream.flows; ++flow) {
    const uint16_t first = tally.first_instance()[flow];
    if (first == kNobody) {
      continue;
    }
    const std::string group = setup.space.GroupOf(setup.space.At(stream.first_flow + flow), questions.group,
                                                  questions.group_prefix);
    const auto [at, fresh] = instance_of.try_emplace(group, first);
    if (at->second != first || tally.last_instance()[flow] != first) {
      split[group] = true;
    }
  }
  return {instance_of.size(), split.size()};
}

void WriteMap(const Setup& setup, const Outcome& outcome, const std::string& path) {
  std::ofstream out(path);
  out << "client,source_port,port,instance\n";
  for (size_t s = 0; s < setup.streams.size(); ++s) {
    const auto& last = outcome.tallies[s]->last_instance();
    for (uint32_t flow = 0; flow < setup.streams[s].flows; ++flow) {
      if (last[flow] != kNobody) {
        out << FlowName(setup.space.At(setup.streams[s].first_flow + flow)) << ','
            << setup.receivers[last[flow]].name << '\n';
      }
    }
  }
  out.flush();
  if (!out) {
    Fail(path + " cannot be written");
  }
}

ordered_json Compare(const Setup& setup, const Outcome& outcome, const std::string& path) {
  std::ifstream in(path);
  if (!in) {
    Fail(path + " cannot be read");
  }
  std::unordered_map<std::string, std::string> before;
  for (std::string line; std::getline(in, line);) {
    const size_t comma = line.rfind(',');
    if (comma != std::string::npos) {
      before[line.substr(0, comma)] = line.substr(comma + 1);
    }
  }
  uint64_t compared = 0;
  uint64_t moved = 0;
  ordered_json examples = ordered_json::array();
  for (size_t s = 0; s < setup.streams.size(); ++s) {
    const auto& first = outcome.tallies[s]->first_instance();
    for (uint32_t flow = 0; flow < setup.streams[s].flows; ++flow) {
      if (first[flow] == kNobody) {
        continue;
      }
      const std::string name = FlowName(setup.space.At(setup.streams[s].first_flow + flow));
      const auto then = before.find(name);
      if (then == before.end()) {
        continue;
      }
      ++compared;
      if (then->second != setup.receivers[first[flow]].name) {
        ++moved;
        if (examples.size() < 5) {
          examples.push_back(name + ": " + then->second + " -> " + setup.receivers[first[flow]].name);
        }
      }
    }
  }
  return {{"compared", compared}, {"moved", moved}, {"examples", examples}};
}

ordered_json StreamReport(const Setup& setup, const Outcome& outcome, size_t index,
                          const Questions& questions) {
  const Stream& stream = setup.streams[index];
  const Tally& t = *outcome.tallies[index];
  const double sending = static_cast<double>(t.last_sent_ns - t.first_sent_ns) / 1e9;
  const double receiving = static_cast<double>(t.last_delivered_ns - t.first_delivered_ns) / 1e9;
  const auto per_second = [](uint64_t packets, double seconds) {
    return packets < 2 || seconds <= 0 ? 0.0 : static_cast<double>(packets - 1) / seconds;
  };
  const double delivered_per_s = per_second(t.delivered, receiving);
  ordered_json instances = ordered_json::object();
  ordered_json flow_instances = ordered_json::object();
  ordered_json arrivals = ordered_json::object();
  std::vector<uint64_t> flows_at(setup.receivers.size());
  uint64_t flows_seen = 0;
  for (const uint16_t first : t.first_instance()) {
    if (first != kNobody) {
      ++flows_at[first];
      ++flows_seen;
    }
  }
  for (size_t i = 0; i < setup.receivers.size(); ++i) {
    instances[setup.receivers[i].name] = t.per_instance[i];
    flow_instances[setup.receivers[i].name] = flows_at[i];
    if (t.per_instance[i] != 0) {
      arrivals[setup.receivers[i].name] = {static_cast<double>(t.instance_first_ns[i]) / 1e9,
                                           static_cast<double>(t.instance_last_ns[i]) / 1e9};
    }
  }
  const auto [groups, split] = Groups(setup, stream, t, questions);
  ordered_json report = {
      {"stream", stream.name},
      {"flows", stream.flows},
      {"sent", t.sent},
      {"delivered", t.delivered},
      {"lost", t.sent - std::min(t.sent, t.delivered)},
      {"duplicates", t.duplicates},
      {"flows_seen", flows_seen},
      {"flows_moved", t.flows_moved},
      {"groups", groups},
      {"groups_split", split},
      {"bad_checksums", t.bad_checksums},
      {"seconds", sending},
      {"sent_per_s", per_second(t.sent, sending)},
      {"delivered_per_s", delivered_per_s},
      {"mbit_per_s", delivered_per_s * static_cast<double>(outcome.frame_bytes) * 8 / 1e6},
      {"latency_us", Latencies(t.latency)},
      {"max_gap_ms", static_cast<double>(t.max_gap_ns) / 1e6},
      {"first_move_at", static_cast<double>(t.first_move_ns) / 1e9},
      {"last_move_at", static_cast<double>(t.last_move_ns) / 1e9},
      {"instances", instances},
      {"flow_instances", flow_instances},
      {"arrivals", arrivals},
  };
  if (setup.answering == Answering::kAnswer) {
    report["answered"] = t.answered;
    report["unanswered"] = t.sent - std::min(t.sent, t.answered);
    report["duplicate_answers"] = t.duplicate_answers;
    report["wrong_answers"] = t.wrong_answers;
    report["rtt_us"] = Latencies(t.rtt);
  }
  return report;
}

}  // namespace

ordered_json Report(const Setup& setup, const Outcome& outcome, const Questions& questions) {
  ordered_json report = StreamReport(setup, outcome, 0, questions);
  report["frame_bytes"] = outcome.frame_bytes;
  report["elsewhere"] = outcome.elsewhere;
  report["ring_drops"] = outcome.ring_drops;
  report["send_refused"] = outcome.send_refused;
  report["window_stalls"] = outcome.window_stalls;
  if (!questions.expect_file.empty()) {
    report["expected"] = Compare(setup, outcome, questions.expect_file);
  }
  if (!questions.map_file.empty()) {
    WriteMap(setup, outcome, questions.map_file);
  }
  for (size_t i = 1; i < setup.streams.size(); ++i) {
    report[setup.streams[i].name] = StreamReport(setup, outcome, i, questions);
  }
  return report;
}

}  // namespace dyncast::pktgen
