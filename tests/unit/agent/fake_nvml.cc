// In place of NVML: what the file at FAKE_NVML_STATE says, read at each call. Lines:
//   init CODE               what nvmlInit_v2 returns (0 if there is no such line)
//   device UTIL USED TOTAL  per cent (-1: not supported) and bytes (TOTAL -1: not supported)
//   lost                    a device that has no handle
//   hang FIFO               every reading waits until somebody writes to FIFO
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr int kNotFound = 6;
constexpr int kNotSupported = 3;

struct Device {
  bool lost = false;
  long utilization = -1;
  long used = 0;
  long total = -1;
};
struct State {
  int init = 0;
  std::vector<Device> devices;
};

State ReadState() {
  State state;
  const char* path = std::getenv("FAKE_NVML_STATE");
  std::ifstream file(path != nullptr ? path : "");
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "init") words >> state.init;
    if (word == "lost") state.devices.push_back({.lost = true});
    if (word == "device") {
      Device device;
      words >> device.utilization >> device.used >> device.total;
      state.devices.push_back(device);
    }
    if (word == "hang") {
      std::string fifo;
      words >> fifo;
      const int fd = open(fifo.c_str(), O_RDONLY | O_CLOEXEC);  // until there is a writer
      if (fd >= 0) close(fd);
    }
  }
  return state;
}

const Device* Find(void* handle) {
  static thread_local State state;
  state = ReadState();
  const auto index = reinterpret_cast<size_t>(handle) - 1;
  return index < state.devices.size() ? &state.devices[index] : nullptr;
}

}  // namespace

extern "C" {
struct Rates {
  unsigned int gpu;
  unsigned int memory;
};
struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

int nvmlInit_v2() { return ReadState().init; }
int nvmlShutdown() { return 0; }
const char* nvmlErrorString(int code) { return code == 9 ? "Driver Not Loaded" : "Some Error"; }
int nvmlDeviceGetCount_v2(unsigned int* count) {
  *count = static_cast<unsigned int>(ReadState().devices.size());
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void** handle) {
  *handle = reinterpret_cast<void*>(static_cast<size_t>(index) + 1);
  const Device* device = Find(*handle);
  return device == nullptr || device->lost ? kNotFound : 0;
}
int nvmlDeviceGetUtilizationRates(void* handle, Rates* rates) {
  const Device* device = Find(handle);
  if (device == nullptr) return kNotFound;
  if (device->utilization < 0) return kNotSupported;
  *rates = {static_cast<unsigned int>(device->utilization), 0};
  return 0;
}
int nvmlDeviceGetMemoryInfo(void* handle, Memory* memory) {
  const Device* device = Find(handle);
  if (device == nullptr) return kNotFound;
  if (device->total < 0) return kNotSupported;
  *memory = {static_cast<unsigned long long>(device->total), 0,
             static_cast<unsigned long long>(device->used)};
  return 0;
}
}
