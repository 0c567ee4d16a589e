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
  if (config_.scrape) scrape_.emplace(config_.scrape->metrics, options.window, options.expiry);
  for (const config::PluginConfig& plugin : config_.plugins) {
    plugins_.emplace_back(plugin.metrics, options.window, plugin.interval + plugin.timeout + options.window);
  }
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
  measured_ = {};
  measured_.cpu = own.cgroup ? CgroupCpu(*own.cgroup, host, now) : host_cpu;
  measured_.memory_ratio = MemoryRatio(host, own);
  measured_.pressure = own.cgroup ? own.cgroup->pressure : host.pressure;
  measured_.load1 = host.load1;
  measured_.sockets = own.sockets;
  measured_.gpu = own.gpu;
  // What could not be read this time keeps its last known value: a capacity does not come and go.
  const Capacity found = EffectiveCapacity(config_.capacity, own.cgroup, host);
  if (found.cpu_cores) capacity_.cpu_cores = found.cpu_cores;
  if (found.memory_bytes) capacity_.memory_bytes = found.memory_bytes;
  if (!config_.capacity.gpus && own.gpu.devices) capacity_.gpus = static_cast<double>(*own.gpu.devices);
  sampled_ = true;
  return Renew(now);
}

std::vector<std::string> Instance::Renew(MonoTime now) {
  measured_.scraped = OfTheApplication(now);
  BuiltMetrics built = BuildMetrics(measured_);
  metrics_ = std::move(built.metrics);
  return std::move(built.refused);
}

void Instance::OnScrape(const SourceReading& values, MonoTime now) {
  if (scrape_) scrape_->Take(values, now);
}

void Instance::OnPlugin(size_t index, const SourceReading& values, MonoTime now) {
  if (index < plugins_.size()) plugins_[index].Take(values, now);
}

void Instance::OnLoadReport(LoadReport report, MonoTime now) {
  load_report_ = std::move(report);
  load_report_at_ = now;
}

// Later ones replace earlier ones of the same name: what the configuration names goes before what a load
// report means by itself.
std::vector<ScrapedValue> Instance::OfTheApplication(MonoTime now) const {
  std::vector<ScrapedValue> values;
  const bool reported =
      config_.orca && load_report_at_ && now - *load_report_at_ <= Micros{config_.orca->expiry};
  if (reported) values = StandardOrcaValues(load_report_);
  if (scrape_) scrape_->AppendTo(&values, now);
  for (const SourceValues& plugin : plugins_) plugin.AppendTo(&values, now);
  if (reported) {
    for (ScrapedValue& value : ConfiguredOrcaValues(load_report_, config_.orca->metrics)) {
      values.push_back(std::move(value));
    }
  }
  return values;
}

}  // namespace dyncast::agent
