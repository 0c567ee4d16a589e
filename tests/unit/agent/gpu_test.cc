#include "agent/io/gpu.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "agent/io/nvml.h"
#include "agent/io/poller.h"
#include "fake_nvml_state.h"
#include "schema/base/log.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kGiB = uint64_t{1} << 30;

std::string Gib(int n) { return std::to_string(static_cast<uint64_t>(n) * kGiB); }

// Looks again and again, as the event loop does, until `wanted` holds or ten seconds passed.
std::optional<GpuReadings> Until(GpuReader* reader, const config::GpuConfig& config,
                                 const std::function<bool(const GpuReadings&)>& wanted) {
  Poller poller;
  const MonoTime end = ReadClocks().mono + seconds(10);
  while (ReadClocks().mono < end) {
    const GpuReadings readings = reader->Read(config, "host", ReadClocks().mono);
    if (wanted(readings)) return readings;
    poller.Wait(milliseconds(5));
  }
  return std::nullopt;
}

TEST(Nvml, ReadsEachDeviceAndLeavesOutWhatItCanNotSay) {
  FakeNvmlState state;
  state.Say("device 30 " + Gib(2) + " " + Gib(8) + "\nlost\ndevice -1 0 -1\ndevice 250 " + Gib(9) + " " +
            Gib(8) + "\n");
  auto nvml = Nvml::Load(FAKE_NVML);
  ASSERT_TRUE(nvml) << nvml.error().ToString();
  const auto devices = (*nvml)->Read();
  ASSERT_TRUE(devices);
  ASSERT_EQ(devices->size(), 4u);
  EXPECT_EQ((*devices)[0].utilization, 0.3);
  EXPECT_EQ((*devices)[0].memory_used_bytes, 2 * kGiB);
  EXPECT_EQ((*devices)[0].memory_total_bytes, 8 * kGiB);
  for (size_t i : {1, 2, 3}) {
    EXPECT_FALSE((*devices)[i].utilization) << i;
    EXPECT_FALSE((*devices)[i].memory_total_bytes) << i;
  }
}

TEST(Nvml, ALibraryThatIsNotThereOrIsAnotherIsNamed) {
  const auto none = Nvml::Load("libthere-is-no-such-library.so.1");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("libthere-is-no-such-library.so.1"), std::string::npos);
  const auto other = Nvml::Load("libc.so.6");
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("nvmlInit_v2"), std::string::npos) << other.error().message;
  FakeNvmlState state;
  state.Say("init 9\n");
  const auto no_driver = Nvml::Load(FAKE_NVML);
  ASSERT_FALSE(no_driver);
  EXPECT_EQ(no_driver.error().message, "nvmlInit: Driver Not Loaded (9)");
}

TEST(Gpu, IsTheMeanOfAllOrOfTheNamedDevices) {
  FakeNvmlState state;
  state.Say("device 20 " + Gib(1) + " " + Gib(4) + "\ndevice 60 " + Gib(3) + " " + Gib(12) + "\ndevice 100 " +
            Gib(4) + " " + Gib(4) + "\n");
  Problems problems;
  GpuReader reader(&problems);
  const config::GpuConfig all{.library = FAKE_NVML};
  const auto readings = Until(&reader, all, [](const GpuReadings& r) { return r.utilization.has_value(); });
  ASSERT_TRUE(readings);
  EXPECT_DOUBLE_EQ(*readings->utilization, 0.6);
  EXPECT_DOUBLE_EQ(*readings->memory, 0.4);
  EXPECT_EQ(readings->devices, 3u);
  const GpuReadings two = reader.Read({.library = FAKE_NVML, .devices = {0, 1}}, "a", ReadClocks().mono);
  EXPECT_DOUBLE_EQ(*two.utilization, 0.4);
  EXPECT_DOUBLE_EQ(*two.memory, 0.25);
  EXPECT_EQ(two.devices, 2u);
  const GpuReadings none = reader.Read({.library = FAKE_NVML, .devices = {7}}, "a", ReadClocks().mono);
  EXPECT_FALSE(none.utilization);
  EXPECT_FALSE(none.memory);
  EXPECT_EQ(problems.open(), 0u) << "a device that is not there is no fault";
}

TEST(Gpu, ALibraryThatIsNotThereIsNormal) {
  Problems problems;
  GpuReader reader(&problems);
  const config::GpuConfig config{.library = "libthere-is-no-such-library.so.1", .timeout = milliseconds(50)};
  const uint64_t warnings = log::WarningsWritten();
  const MonoTime start = ReadClocks().mono;
  Poller poller;
  while (ReadClocks().mono - start < milliseconds(600)) {  // well past timeout and period
    const GpuReadings readings = reader.Read(config, "host", ReadClocks().mono);
    EXPECT_FALSE(readings.utilization || readings.memory || readings.devices);
    poller.Wait(milliseconds(20));
  }
  EXPECT_EQ(problems.open(), 0u);
  EXPECT_EQ(log::WarningsWritten(), warnings);
}

TEST(Gpu, ALibraryThatHangsIsNotWaitedFor) {
  FakeNvmlState state;
  state.Say("device 40 0 " + Gib(1) + "\n");
  Problems problems;
  const config::GpuConfig config{.library = FAKE_NVML, .timeout = milliseconds(100)};
  auto reader = std::make_unique<GpuReader>(&problems);
  ASSERT_TRUE(Until(reader.get(), config, [](const GpuReadings& r) { return r.utilization == 0.4; }));
  EXPECT_EQ(problems.open(), 0u);
  state.Hang();
  Micros worst{0};
  ASSERT_TRUE(Until(reader.get(), config, [&](const GpuReadings& r) {
    const MonoTime before = ReadClocks().mono;
    reader->Read(config, "host", before);
    worst = std::max(worst, ReadClocks().mono - before);
    return !r.utilization;
  })) << "what is too old is not used";
  EXPECT_LT(worst, milliseconds(100)) << "each look returns at once";
  EXPECT_EQ(problems.open(), 1u);
  state.Release("device 70 0 " + Gib(1) + "\n");
  ASSERT_TRUE(Until(reader.get(), config, [](const GpuReadings& r) { return r.utilization == 0.7; }));
  EXPECT_EQ(problems.open(), 0u);
  state.Hang();
  ASSERT_TRUE(Until(reader.get(), config, [&](const GpuReadings& r) { return !r.utilization; }));
  const MonoTime before = ReadClocks().mono;
  reader.reset();
  EXPECT_LT(ReadClocks().mono - before, seconds(5)) << "nor at the end";
}

}  // namespace
}  // namespace dyncast::agent
