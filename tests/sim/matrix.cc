#include "tests/sim/matrix.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <thread>
#include <utility>

namespace dyncast::sim {
namespace {

template <typename T>
std::vector<T> Or(const std::vector<T>& said, T otherwise) {
  return said.empty() ? std::vector<T>{otherwise} : said;
}

struct Task {
  const Loaded* loaded = nullptr;
  RunSpec spec;
  std::vector<Outcome*> into;
};

}  // namespace

double Cell::Mean(const std::function<double(const Outcome&)>& get) const {
  double sum = 0;
  for (const Outcome& outcome : outcomes) sum += get(outcome);
  return outcomes.empty() ? 0 : sum / static_cast<double>(outcomes.size());
}

Cell::Ratio Cell::ToOracle(double Outcome::*member) const {
  double sum = 0;
  double squares = 0;
  const auto n = static_cast<double>(outcomes.size());
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const double ratio = oracles[i].*member > 0 ? outcomes[i].*member / (oracles[i].*member) : 0;
    sum += ratio;
    squares += ratio * ratio;
  }
  if (outcomes.empty()) return {};
  const double mean = sum / n;
  if (outcomes.size() == 1) return {.mean = mean, .error = 0};
  return {.mean = mean, .error = std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1))};
}

std::vector<Cell> RunMatrix(const MatrixSpec& spec) {
  std::vector<Cell> cells;
  for (const Loaded* loaded : spec.scenarios) {
    const Scenario& s = loaded->scenario;
    for (const Ending ending : Or(spec.endings, s.ending)) {
      for (const Dispatch dispatch : Or(spec.dispatches, s.dispatch)) {
        for (const Micros period : Or(spec.periods, s.reports.period)) {
          for (const PolicyChoice& policy : spec.policies) {
            Cell& cell = cells.emplace_back();
            cell.loaded = loaded;
            cell.policy = policy;
            cell.period = period;
            cell.ending = ending;
            cell.dispatch = dispatch;
            cell.seeds = Or(spec.seeds, s.seed);
            cell.outcomes.resize(cell.seeds.size());
            cell.oracles.resize(cell.seeds.size());
          }
        }
      }
    }
  }
  // References look at no report and no binding: each runs once for a scenario and seed (and ending, since a
  // session may be bound anew).
  std::map<std::tuple<const Loaded*, Reference, Ending, uint64_t>, Task> references;
  const PolicyChoice oracle = *FindPolicy("oracle");
  std::vector<Task> tasks;
  for (Cell& cell : cells) {
    for (size_t i = 0; i < cell.seeds.size(); ++i) {
      const RunSpec run{.policy = cell.policy,
                        .period = cell.period,
                        .ending = cell.ending,
                        .dispatch = cell.dispatch,
                        .seed = cell.seeds[i]};
      const auto refer = [&](const PolicyChoice& policy, Outcome* into) {
        Task& task = references[{cell.loaded, policy.reference, cell.ending, run.seed}];
        task.loaded = cell.loaded;
        task.spec = run;
        task.spec.policy = policy;
        task.into.push_back(into);
      };
      refer(oracle, &cell.oracles[i]);
      if (cell.policy.policy) {
        tasks.push_back({.loaded = cell.loaded, .spec = run, .into = {&cell.outcomes[i]}});
      } else {
        refer(cell.policy, &cell.outcomes[i]);
      }
    }
  }
  for (auto& [key, task] : references) tasks.push_back(std::move(task));
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = 0; (i = next++) < tasks.size();) {
      const Outcome outcome = Simulate(*tasks[i].loaded, tasks[i].spec);
      for (Outcome* into : tasks[i].into) *into = outcome;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned t = 1; t < std::min<size_t>(spec.threads, tasks.size()); ++t) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return cells;
}

}  // namespace dyncast::sim
