// What happens beside demands: agents speak, speeds change, samples are taken.
#include <algorithm>
#include <cmath>
#include <utility>

#include "tests/sim/world.h"

namespace dyncast::sim {
namespace {

constexpr uint64_t kPhaseStream = 1002;
constexpr Micros kSecond{1'000'000};
// Of the plots.
constexpr Micros kSeriesLength{30'000'000};

}  // namespace

void World::Again(const Event& event, Micros gap) {
  if (now_ + gap < scenario_.duration) events_.Add(now_ + gap, event.what, event.a);
}

// ---- Agents -------------------------------------------------------------------------------------

// All have spoken when the first demand comes; from then on each in its own time.
void World::StartAgents() {
  Random phases(spec_.seed, kPhaseStream);
  const auto within = [&phases](Micros gap) {
    return Micros{1 + static_cast<int64_t>(phases.Uniform() * static_cast<double>(gap.count() - 1))};
  };
  for (uint32_t e = 0; e < scenario_.edges.size(); ++e) {
    agents_.Announce(e, now_, &said_);
    events_.Add(within(Agents::kBeat), What::kAnnounce, e);
    events_.Add(within(spec_.period), What::kReport, e);
  }
  for (uint32_t r = 0; r < scenario_.routers.size(); ++r) {
    agents_.Beat(r, now_, &said_);
    agents_.Paths(r, now_, &said_);
    events_.Add(within(Agents::kBeat), What::kBeat, r);
    events_.Add(within(spec_.period), What::kPaths, r);
  }
  for (wire::AgentMessage& message : said_) fabric_->Say(std::move(message), now_);
  said_.clear();
  fabric_->ResetCounts();
}

void World::Say() {
  for (wire::AgentMessage& message : said_) {
    if (losses_.Uniform() < scenario_.reports.loss) {
      ++outcome_.messages_lost;
      continue;
    }
    uint32_t slot = 0;
    if (free_messages_.empty()) {
      slot = static_cast<uint32_t>(messages_.size());
      messages_.emplace_back();
    } else {
      slot = free_messages_.back();
      free_messages_.pop_back();
    }
    messages_[slot] = std::move(message);
    events_.Add(now_ + scenario_.reports.delay, What::kHeard, slot);
  }
  said_.clear();
}

void World::OnHeard(uint32_t message) {
  free_messages_.push_back(message);
  if (now_ < scenario_.duration) fabric_->Say(std::move(messages_[message]), now_);
}

// ---- Speeds -------------------------------------------------------------------------------------

void World::StartSpeeds() {
  const auto& instances = topology_.instances;
  for (const SpeedSpec& speed : scenario_.speeds) {
    const auto at = std::find_if(instances.begin(), instances.end(),
                                 [&](const Topology::Instance& i) { return i.name == speed.instance; });
    changes_.push_back({.at = speed.at,
                        .instance = static_cast<uint32_t>(at - instances.begin()),
                        .speed = at->speed * speed.factor});
  }
  if (scenario_.rotation) {
    const auto n = static_cast<uint32_t>(instances.size());
    uint32_t turn = 0;
    for (Micros at{0}; at < scenario_.duration; at += scenario_.rotation->time, ++turn) {
      const uint32_t before = (turn + n - 1) % n;
      if (turn > 0) changes_.push_back({.at = at, .instance = before, .speed = instances[before].speed});
      changes_.push_back(
          {.at = at, .instance = turn % n, .speed = instances[turn % n].speed * scenario_.rotation->factor});
    }
  }
  for (uint32_t i = 0; i < changes_.size(); ++i) events_.Add(changes_[i].at, What::kSpeed, i);
}

void World::OnSpeed(uint32_t change) {
  const SpeedChange& c = changes_[change];
  servers_[c.instance].SetSpeed(now_, c.speed);
  Plan(c.instance);
}

// ---- Measuring ----------------------------------------------------------------------------------

void World::StartMeasuring() {
  outcome_.series.from = scenario_.warm_up;
  outcome_.series.step = kSampleStep;
  events_.Add(kSampleStep, What::kSample);
}

void World::OnSample() {
  ++sample_;
  if (sample_ % static_cast<uint64_t>(kSecond / kSampleStep) == 0) EndSecond();
  if (now_ <= scenario_.warm_up) return;
  const size_t n = servers_.size();
  double sum = 0;
  double squares = 0;
  for (size_t i = 0; i < n; ++i) {
    const double load = static_cast<double>(servers_[i].present()) / topology_.instances[i].capacity();
    sum += load;
    squares += load * load;
  }
  const double mean = sum / static_cast<double>(n);
  const double variance = std::max(0.0, squares / static_cast<double>(n) - mean * mean);
  imbalance_ += mean > 0 ? std::sqrt(variance) / mean : 0;
  ++samples_;
  if (now_ > scenario_.warm_up + kSeriesLength) return;
  for (size_t i = 0; i < n; ++i) {
    outcome_.series.present[i].push_back(static_cast<float>(servers_[i].present()) /
                                         static_cast<float>(servers_[i].workers()));
  }
}

void World::EndSecond() {
  uint64_t total = 0;
  for (const uint32_t n : decided_) total += n;
  if (now_ > scenario_.warm_up && now_ <= scenario_.warm_up + kSeriesLength) {
    for (size_t i = 0; i < decided_.size(); ++i) {
      const double share = total > 0 ? static_cast<double>(decided_[i]) / static_cast<double>(total) : 0;
      outcome_.series.share[i].push_back(static_cast<float>(share));
    }
  }
  if (total == 0) return;
  std::vector<double> shares;
  for (const uint32_t n : decided_) shares.push_back(static_cast<double>(n) / static_cast<double>(total));
  std::fill(decided_.begin(), decided_.end(), 0);
  if (!shares_.empty() && now_ > scenario_.warm_up) {
    double moved = 0;
    for (size_t i = 0; i < shares.size(); ++i) moved += std::abs(shares[i] - shares_[i]);
    moved_ += moved / 2;
    ++moved_seconds_;
  }
  shares_ = std::move(shares);
}

void World::Append(uint32_t router, std::vector<const Flow*>* flows) const {
  for (const Client& client : clients_) {
    if (client.bound && client.flow.router == router) flows->push_back(&client.flow);
  }
}

Outcome World::Finish() {
  SumUp(&latencies_us_, &outcome_);
  outcome_.refused = refused_;
  outcome_.imbalance = samples_ > 0 ? imbalance_ / static_cast<double>(samples_) : 0;
  outcome_.moved_share_per_s = moved_seconds_ > 0 ? moved_ / static_cast<double>(moved_seconds_) : 0;
  if (fabric_) {
    const Fabric::Counts& counts = fabric_->counts();
    outcome_.plans = counts.plans;
    outcome_.bindings_pushed = counts.installed;
    const double seconds = static_cast<double>(scenario_.duration.count()) * 1e-6;
    outcome_.slots_moved_per_s = static_cast<double>(counts.slots_moved) /
                                 static_cast<double>(kSlots * scenario_.routers.size()) / seconds;
  }
  return std::move(outcome_);
}

}  // namespace dyncast::sim
