// What the readers hand to the core: raw values of one moment. Absent means it could not be read, or
// there is no such thing; it is never 0 in place of unknown.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "agent/core/procfs.h"

namespace dyncast::agent {

struct PressureReadings {  // ratios 0..1
  std::optional<double> cpu;
  std::optional<double> memory;
  std::optional<double> io;
};

struct HostReadings {
  std::optional<CpuTimes> cpu;
  std::optional<MemoryInfo> memory;
  std::optional<double> load1;
  PressureReadings pressure;
};

struct CgroupReadings {
  std::optional<std::chrono::microseconds> cpu_used;
  // The outer optional: could not be read. The inner one: there is no limit.
  std::optional<std::optional<double>> cpu_limit_cores;
  std::optional<uint64_t> memory_bytes;
  std::optional<std::optional<uint64_t>> memory_limit_bytes;
  PressureReadings pressure;
};

struct SocketReadings {
  std::optional<uint32_t> sessions;      // established connections
  std::optional<uint32_t> accept_queue;  // connections that wait to be accepted
};

struct GpuReadings {
  std::optional<double> utilization;  // 0..1, mean of the devices that say it
  std::optional<double> memory;       // 0..1, used of all their memory
  std::optional<uint32_t> devices;    // how many there are
};

struct InstanceReadings {
  std::optional<CgroupReadings> cgroup;  // absent where the instance has no cgroup of its own
  SocketReadings sockets;
  GpuReadings gpu;
};

}  // namespace dyncast::agent
