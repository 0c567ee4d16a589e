#include "agent/io/nvml.h"

#include <dlfcn.h>

#include <algorithm>
#include <utility>

namespace dyncast::agent {
namespace {

// The library's own types, as its binary interface has them.
using Return = int;  // 0: success
using Handle = void*;
struct Rates {
  unsigned int gpu;  // per cent of the time
  unsigned int memory;
};
struct Memory {  // bytes
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

constexpr unsigned int kMostDevices = 1024;

std::string LoaderError() {
  const char* text = dlerror();
  return text != nullptr ? text : "unknown";
}

template <typename Function>
bool Find(void* handle, const char* name, Function** function) {
  *function = reinterpret_cast<Function*>(dlsym(handle, name));
  return *function != nullptr;
}

}  // namespace

struct Nvml::Functions {
  Return (*init)() = nullptr;
  Return (*shutdown)() = nullptr;
  Return (*count)(unsigned int*) = nullptr;
  Return (*handle)(unsigned int, Handle*) = nullptr;
  Return (*rates)(Handle, Rates*) = nullptr;
  Return (*memory)(Handle, Memory*) = nullptr;
  const char* (*error)(Return) = nullptr;

  Error Failure(const char* what, Return code) const {
    const char* text = error(code);
    return MakeError(Errc::kIo, std::string(what) + ": " + (text != nullptr ? text : "") + " (" +
                                    std::to_string(code) + ")");
  }
};

Nvml::Nvml(void* handle, std::unique_ptr<Functions> functions)
    : handle_(handle), functions_(std::move(functions)) {}

// The library stays loaded: unloading one that made threads is not safe.
Nvml::~Nvml() { functions_->shutdown(); }

Result<std::unique_ptr<Nvml>> Nvml::Load(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) return MakeError(Errc::kNotFound, LoaderError());
  auto functions = std::make_unique<Functions>();
  const bool found = Find(handle, "nvmlInit_v2", &functions->init) &&
                     Find(handle, "nvmlShutdown", &functions->shutdown) &&
                     Find(handle, "nvmlDeviceGetCount_v2", &functions->count) &&
                     Find(handle, "nvmlDeviceGetHandleByIndex_v2", &functions->handle) &&
                     Find(handle, "nvmlDeviceGetUtilizationRates", &functions->rates) &&
                     Find(handle, "nvmlDeviceGetMemoryInfo", &functions->memory) &&
                     Find(handle, "nvmlErrorString", &functions->error);
  if (!found) {
    Error error = MakeError(Errc::kNotFound, LoaderError());
    dlclose(handle);
    return error;
  }
  if (const Return code = functions->init(); code != 0) {
    Error error = functions->Failure("nvmlInit", code);
    dlclose(handle);
    return error;
  }
  return std::unique_ptr<Nvml>(new Nvml(handle, std::move(functions)));
}

Result<std::vector<GpuDevice>> Nvml::Read() {
  unsigned int count = 0;
  if (const Return code = functions_->count(&count); code != 0) {
    return functions_->Failure("nvmlDeviceGetCount", code);
  }
  std::vector<GpuDevice> devices(std::min(count, kMostDevices));
  for (unsigned int i = 0; i < devices.size(); ++i) {
    Handle device = nullptr;
    if (functions_->handle(i, &device) != 0) continue;  // one that fell off the bus says nothing
    Rates rates{};
    if (functions_->rates(device, &rates) == 0 && rates.gpu <= 100) {
      devices[i].utilization = static_cast<double>(rates.gpu) / 100;
    }
    Memory memory{};
    if (functions_->memory(device, &memory) == 0 && memory.total > 0 && memory.used <= memory.total) {
      devices[i].memory_used_bytes = memory.used;
      devices[i].memory_total_bytes = memory.total;
    }
  }
  return devices;
}

}  // namespace dyncast::agent
