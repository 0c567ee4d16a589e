#include "agent/io/gpu.h"

#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "agent/io/nvml.h"
#include "schema/base/log.h"

namespace dyncast::agent {
namespace {

// At the end a thread that is between two readings is waited for, one that hangs is not.
constexpr std::chrono::milliseconds kJoin{200};

using Devices = std::vector<GpuDevice>;

struct Newest {
  MonoTime at{};
  // Not there: the library could not be loaded (kNotFound) or read.
  Result<Devices> devices = MakeError(Errc::kNotFound, "not read yet");
};

// What the loop and the thread share. The thread holds it too, so that it may outlive the reader.
struct Shared {
  std::mutex mutex;
  std::condition_variable changed;
  bool stop = false;
  bool ended = false;
  std::optional<Newest> newest;
};

// False: it is time to end.
bool Pause(Shared* shared, std::chrono::milliseconds time) {
  std::unique_lock<std::mutex> lock(shared->mutex);
  return !shared->changed.wait_for(lock, time, [&] { return shared->stop; });
}

void Publish(Shared* shared, Result<Devices> devices) {
  const MonoTime now = ReadClocks().mono;
  const std::lock_guard<std::mutex> lock(shared->mutex);
  shared->newest = Newest{.at = now, .devices = std::move(devices)};
}

void ReadUntilStopped(const std::string& library, Shared* shared) {
  while (true) {
    auto nvml = Nvml::Load(library);
    if (!nvml) {
      Publish(shared, MakeError(Errc::kNotFound, nvml.error().message));
      if (!Pause(shared, GpuReader::kRetry)) return;
      continue;
    }
    while (true) {
      auto devices = (*nvml)->Read();
      const bool good = devices.ok();
      Publish(shared, std::move(devices));
      if (!Pause(shared, GpuReader::kPeriod)) return;
      if (!good) break;  // loads it anew: a driver that was replaced needs that
    }
  }
}

GpuReadings MeanOf(const Devices& devices) {
  double utilization = 0;
  uint32_t say = 0;
  uint64_t used = 0;
  uint64_t total = 0;
  for (const GpuDevice& device : devices) {
    if (device.utilization) {
      utilization += *device.utilization;
      ++say;
    }
    used += device.memory_used_bytes.value_or(0);
    total += device.memory_total_bytes.value_or(0);
  }
  GpuReadings readings;
  if (say > 0) readings.utilization = utilization / say;
  if (total > 0) readings.memory = static_cast<double>(used) / static_cast<double>(total);
  readings.devices = static_cast<uint32_t>(devices.size());
  return readings;
}

}  // namespace

class GpuReader::Worker {
 public:
  explicit Worker(const std::string& library) : shared_(std::make_shared<Shared>()) {
    try {
      thread_ = std::thread([library, shared = shared_] {
        ReadUntilStopped(library, shared.get());
        const std::lock_guard<std::mutex> lock(shared->mutex);
        shared->ended = true;
        shared->changed.notify_all();
      });
    } catch (const std::system_error& e) {
      Publish(shared_.get(), MakeError(Errc::kNotFound, std::string("no thread: ") + e.what()));
    }
  }
  ~Worker() {
    if (!thread_.joinable()) return;
    std::unique_lock<std::mutex> lock(shared_->mutex);
    shared_->stop = true;
    shared_->changed.notify_all();
    const bool ended = shared_->changed.wait_for(lock, kJoin, [&] { return shared_->ended; });
    lock.unlock();
    if (ended) {
      thread_.join();
    } else {
      thread_.detach();
    }
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  MonoTime started = MonoTime::max();
  std::optional<Newest> newest() const {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    return shared_->newest;
  }

 private:
  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

GpuReader::GpuReader(Problems* problems) : problems_(problems) {}
GpuReader::~GpuReader() = default;

void GpuReader::Retain(const config::AgentConfig& config) {
  std::erase_if(workers_, [&](const auto& entry) {
    const auto asks = [&](const std::optional<config::GpuConfig>& gpu) {
      return gpu && gpu->library == entry.first;
    };
    return !asks(config.gpu) && std::none_of(config.instances.begin(), config.instances.end(),
                                             [&](const auto& instance) { return asks(instance.gpu); });
  });
}

GpuReadings GpuReader::Read(const config::GpuConfig& config, const std::string& subject, MonoTime now) {
  std::unique_ptr<Worker>& worker = workers_[config.library];
  if (!worker) {
    worker = std::make_unique<Worker>(config.library);
    worker->started = now;
  }
  const std::optional<Newest> newest = worker->newest();
  const MonoTime last = newest ? newest->at : worker->started;
  const bool absent = newest && !newest->devices && newest->devices.error().code == Errc::kNotFound;
  if (!absent && now - last > config.timeout + kPeriod) {
    problems_->Failed(
        "DC-AG-009", subject, "gpu",
        MakeError(Errc::kUnavailable, fmt::format("no answer within {} ms", config.timeout.count()),
                  config.library));
    return {};
  }
  if (!newest) return {};
  // That there is none is normal: one line says so.
  const auto note = [&](const std::string& what, const std::string& why) {
    std::string& known = absent_[what];
    if (known == why) return;
    known = why;
    if (!why.empty()) DYN_LOG(kInfo, "agent", "no-gpu", "what={} why=\"{}\"", what, why);
  };
  note(config.library, absent ? newest->devices.error().message : "");
  if (absent) return {};
  if (!newest->devices) {
    problems_->Failed("DC-AG-009", subject, "gpu", newest->devices.error());
    return {};
  }
  problems_->Works(subject, "gpu");
  Devices chosen;
  if (config.devices.empty()) chosen = *newest->devices;
  for (const uint32_t device : config.devices) {
    const bool there = device < newest->devices->size();
    note(fmt::format("device {} of {}", device, config.library),
         there ? "" : fmt::format("there are {}", newest->devices->size()));
    if (there) chosen.push_back((*newest->devices)[device]);
  }
  return MeanOf(chosen);
}

}  // namespace dyncast::agent
