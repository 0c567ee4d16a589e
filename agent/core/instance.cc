#include "agent/core/instance.h"

#include <utility>

namespace dyncast::agent {
namespace {

wire::Health InitialHealth(const config::InstanceConfig& config, wire::Health wanted) {
  return config.health.kind == config::HealthCheckKind::kNone ? wire::Health::kUp : wanted;
}

}  // namespace

Instance::Instance(config::InstanceConfig config, UpdatePolicy policy, Options options)
    : config_(std::move(config)),
      policy_(std::move(policy)),
      options_(options),
      health_(config_.health.fall, config_.health.rise, InitialHealth(config_, options.health)),
      cgroup_cpu_(options.window),
      capacity_(config_.capacity) {
  if (!config_.scrape) return;
  rates_.assign(config_.scrape->metrics.size(), CounterRate(options.window));
  scraped_.resize(config_.scrape->metrics.size());
}

wire::Announce Instance::Announce() const {
  return {.instance = config_.name,
          .service = config_.service,
          .sid = std::nullopt,
          .bid = config_.bid,
          .capacity = capacity_,
          .health = health_.health()};
}

std::optional<Windowed> Instance::CgroupCpu(const CgroupReadings& cgroup, const HostReadings& host,
                                            MonoTime now) {
  const Capacity allowed = EffectiveCapacity(config_.capacity, cgroup, host);
  if (!cgroup.cpu_used || !allowed.cpu_cores || !(*allowed.cpu_cores > 0)) return std::nullopt;
  cgroup_cpu_.Add(now, *cgroup.cpu_used, *allowed.cpu_cores);
  return cgroup_cpu_.Current();
}

std::optional<double> Instance::MemoryRatio(const HostReadings& host, const InstanceReadings& own) const {
  if (own.cgroup) {
    const Capacity allowed = EffectiveCapacity(config_.capacity, own.cgroup, host);
    if (!own.cgroup->memory_bytes || !allowed.memory_bytes || !(*allowed.memory_bytes > 0))
      return std::nullopt;
    return static_cast<double>(*own.cgroup->memory_bytes) / *allowed.memory_bytes;
  }
  if (!host.memory) return std::nullopt;
  const double total = static_cast<double>(host.memory->total_bytes);
  return (total - static_cast<double>(host.memory->available_bytes)) / total;
}

std::vector<std::string> Instance::OnSample(const HostReadings& host, const InstanceReadings& own,
                                            std::optional<Windowed> host_cpu, MonoTime now) {
  Measured measured;
  measured.cpu = own.cgroup ? CgroupCpu(*own.cgroup, host, now) : host_cpu;
  measured.memory_ratio = MemoryRatio(host, own);
  measured.pressure = own.cgroup ? own.cgroup->pressure : host.pressure;
  measured.load1 = host.load1;
  measured.sockets = own.sockets;
  measured.scraped = Scraped(now);
  BuiltMetrics built = BuildMetrics(measured);
  metrics_ = std::move(built.metrics);
  // What could not be read this time keeps its last known value: a capacity does not come and go.
  const Capacity found = EffectiveCapacity(config_.capacity, own.cgroup, host);
  if (found.cpu_cores) capacity_.cpu_cores = found.cpu_cores;
  if (found.memory_bytes) capacity_.memory_bytes = found.memory_bytes;
  sampled_ = true;
  return std::move(built.refused);
}

void Instance::OnScrape(std::optional<std::vector<std::optional<double>>> values, MonoTime now) {
  if (!config_.scrape) return;
  const auto& wanted = config_.scrape->metrics;
  for (size_t i = 0; i < wanted.size(); ++i) {
    scraped_[i].reset();
    if (!values || i >= values->size() || !(*values)[i]) continue;
    const double raw = *(*values)[i];
    if (wanted[i].rate) {
      rates_[i].Add(now, raw);
      scraped_[i] = rates_[i].Current();
    } else {
      scraped_[i] = Windowed{.value = raw};
    }
    if (scraped_[i]) scraped_[i]->value *= wanted[i].factor;
  }
  scraped_at_ = now;
}

std::vector<ScrapedValue> Instance::Scraped(MonoTime now) const {
  std::vector<ScrapedValue> result;
  if (!scraped_at_ || now - *scraped_at_ > options_.expiry) return result;
  const auto& wanted = config_.scrape->metrics;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!scraped_[i]) continue;
    result.push_back({.name = wanted[i].name,
                      .unit = wanted[i].unit,
                      .statistic = wanted[i].rate ? MetricStatistic::kRate : MetricStatistic::kInstant,
                      .value = *scraped_[i]});
  }
  return result;
}

}  // namespace dyncast::agent
