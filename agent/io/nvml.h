// What the agent uses of NVML, NVIDIA's management library, loaded at run time: there need be none. Its
// functions may block for as long as the driver likes: call them from a thread that nobody waits for.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "schema/base/result.h"

namespace dyncast::agent {

struct GpuDevice {                    // what it can't say is absent
  std::optional<double> utilization;  // 0..1
  std::optional<uint64_t> memory_used_bytes;
  std::optional<uint64_t> memory_total_bytes;  // > 0
};

class Nvml {
 public:
  // `library` as for dlopen. The error says what is missing; that there is none is no fault.
  static Result<std::unique_ptr<Nvml>> Load(const std::string& library);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // All devices, by their index.
  Result<std::vector<GpuDevice>> Read();

 private:
  struct Functions;
  Nvml(void* handle, std::unique_ptr<Functions> functions);

  void* handle_;
  std::unique_ptr<Functions> functions_;
};

}  // namespace dyncast::agent
