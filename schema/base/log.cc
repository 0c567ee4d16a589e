#include "schema/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace dyncast::log {
namespace {

struct Levels {
  Level fallback = Level::kInfo;
  std::map<std::string, Level, std::less<>> modules;
};

std::mutex g_mutex;
std::shared_ptr<const Levels> g_levels = std::make_shared<Levels>();  // guarded by g_mutex
std::atomic<uint8_t> g_lowest{static_cast<uint8_t>(Level::kInfo)};
std::atomic<uint64_t> g_warnings{0};

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kTrace: return spdlog::level::trace;
    case Level::kDebug: return spdlog::level::debug;
    case Level::kInfo: return spdlog::level::info;
    case Level::kWarn: return spdlog::level::warn;
    case Level::kError: return spdlog::level::err;
    case Level::kOff: return spdlog::level::off;
  }
  return spdlog::level::off;
}

Result<Level> ParseLevel(std::string_view text) {
  static constexpr std::string_view kNames[] = {"trace", "debug", "info", "warn", "error", "off"};
  for (uint8_t i = 0; i < 6; ++i) {
    if (text == kNames[i]) return static_cast<Level>(i);
  }
  return MakeError(Errc::kInvalid,
                   "log level '" + std::string(text) + "' is none of trace, debug, info, warn, error, off");
}

}  // namespace

void Init(std::string_view program) {
  auto logger = spdlog::stderr_color_mt(std::string(program));
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(logger);
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%-5l%$ %v", spdlog::pattern_time_type::utc);
}

Status SetLevels(std::string_view spec) {
  auto next = std::make_shared<Levels>();
  while (!spec.empty()) {
    const size_t comma = spec.find(',');
    const std::string_view part = spec.substr(0, comma);
    spec = comma == std::string_view::npos ? std::string_view{} : spec.substr(comma + 1);
    const size_t equals = part.find('=');
    Result<Level> level = ParseLevel(equals == std::string_view::npos ? part : part.substr(equals + 1));
    if (!level.ok()) return level.error();
    if (equals == std::string_view::npos) {
      next->fallback = *level;
    } else {
      next->modules[std::string(part.substr(0, equals))] = *level;
    }
  }
  uint8_t lowest = static_cast<uint8_t>(next->fallback);
  for (const auto& [name, level] : next->modules) lowest = std::min(lowest, static_cast<uint8_t>(level));
  const std::lock_guard<std::mutex> lock(g_mutex);
  g_levels = next;
  g_lowest.store(lowest, std::memory_order_relaxed);
  return Ok();
}

bool Enabled(Level level, std::string_view module) {
  if (static_cast<uint8_t>(level) < g_lowest.load(std::memory_order_relaxed)) return false;
  const std::lock_guard<std::mutex> lock(g_mutex);
  const auto it = g_levels->modules.find(module);
  return level >= (it == g_levels->modules.end() ? g_levels->fallback : it->second);
}

void Write(Level level, std::string_view code, std::string_view module, std::string_view event,
           std::string_view fields) {
  if (level >= Level::kWarn) g_warnings.fetch_add(1, std::memory_order_relaxed);
  std::string line;
  line.reserve(module.size() + event.size() + fields.size() + code.size() + 8);
  line.append(module).append(" ").append(event);
  if (!code.empty()) line.append(" code=").append(code);
  if (!fields.empty()) line.append(" ").append(fields);
  // One event is one line, whatever a peer put into a value.
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  spdlog::default_logger_raw()->log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

uint64_t WarningsWritten() { return g_warnings.load(std::memory_order_relaxed); }

bool RateLimit::Allow(uint64_t* suppressed) {
  const int64_t window =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count() /
      10;
  if (window_.exchange(window, std::memory_order_relaxed) != window) {
    used_.store(0, std::memory_order_relaxed);
  }
  if (used_.fetch_add(1, std::memory_order_relaxed) < burst_) {
    *suppressed = suppressed_.exchange(0, std::memory_order_relaxed);
    return true;
  }
  suppressed_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

}  // namespace dyncast::log
