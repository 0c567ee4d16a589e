// Logging: `module event key=value`, one line an event, to stderr. Warnings and errors carry a stable
// code; what can repeat is rate-limited per call site, with a count of what was left out.
//
//   DYN_LOG(kInfo, "switch", "up", "switch={} dpid={:#x}", name, dpid);
//   DYN_WARN("DC-SW-002", "switch", "refused-flow", "switch={} error={}", name, error);
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "schema/base/result.h"

namespace dyncast::log {

enum class Level : uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kOff };

// Sets up stderr output. Call once from main, before any thread.
void Init(std::string_view program);
// "info" for all modules, or "switch=debug,info": the last plain word is the default level.
Status SetLevels(std::string_view spec);
bool Enabled(Level level, std::string_view module);
void Write(Level level, std::string_view code, std::string_view module, std::string_view event,
           std::string_view fields);
// Lines written at kWarn and above since the start; for `dyncastctl status` and tests.
uint64_t WarningsWritten();

// Per call site: lets `burst` lines pass in each period of ten seconds and counts the rest.
class RateLimit {
 public:
  explicit constexpr RateLimit(uint32_t burst) : burst_(burst) {}
  // True if the line may be written; *suppressed then holds how many were left out before it.
  bool Allow(uint64_t* suppressed);

 private:
  const uint32_t burst_;
  std::atomic<int64_t> window_{-1};
  std::atomic<uint32_t> used_{0};
  std::atomic<uint64_t> suppressed_{0};
};

}  // namespace dyncast::log

#define DYN_LOG(level, module, event, ...)                                                                \
  do {                                                                                                    \
    if (::dyncast::log::Enabled(::dyncast::log::Level::level, module)) {                                  \
      ::dyncast::log::Write(::dyncast::log::Level::level, {}, module, event, ::fmt::format(__VA_ARGS__)); \
    }                                                                                                     \
  } while (false)

#define DYN_LOG_LIMITED_(level, code, module, event, ...)                                    \
  do {                                                                                       \
    static ::dyncast::log::RateLimit dyn_limit_{10};                                         \
    uint64_t dyn_suppressed_ = 0;                                                            \
    if (::dyncast::log::Enabled(::dyncast::log::Level::level, module) &&                     \
        dyn_limit_.Allow(&dyn_suppressed_)) {                                                \
      std::string dyn_fields_ = ::fmt::format(__VA_ARGS__);                                  \
      if (dyn_suppressed_ != 0) {                                                            \
        dyn_fields_ += ::fmt::format(" suppressed={}", dyn_suppressed_);                     \
      }                                                                                      \
      ::dyncast::log::Write(::dyncast::log::Level::level, code, module, event, dyn_fields_); \
    }                                                                                        \
  } while (false)

#define DYN_WARN(code, module, event, ...) DYN_LOG_LIMITED_(kWarn, code, module, event, __VA_ARGS__)
#define DYN_ERROR(code, module, event, ...) DYN_LOG_LIMITED_(kError, code, module, event, __VA_ARGS__)
