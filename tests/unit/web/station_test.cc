#include "tests/support/web/station.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace dyncast::web {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using MonoTime = Station::MonoTime;

const MonoTime kStart{std::chrono::seconds{1000}};

// (ticket, ms since the start) of all that is done by then.
using Done = std::vector<std::pair<uint64_t, int64_t>>;
Done RunTo(Station* station, int64_t ms) {
  Done done;
  station->Run(kStart + milliseconds{ms}, [&done](uint64_t ticket, MonoTime at) {
    done.emplace_back(ticket, std::chrono::round<milliseconds>(at - kStart).count());
  });
  return done;
}

TEST(Station, ServesInOrderInAsManyPlacesAsItHas) {
  Station station(2, kStart, {});
  for (uint64_t ticket = 1; ticket <= 4; ++ticket) station.Offer(ticket, milliseconds{10}, kStart);
  EXPECT_EQ(station.busy(), 2u);
  EXPECT_EQ(station.waiting(), 2u);
  EXPECT_EQ(RunTo(&station, 9), Done{});
  EXPECT_EQ(RunTo(&station, 15), (Done{{1, 10}, {2, 10}}));
  EXPECT_EQ(RunTo(&station, 30), (Done{{3, 20}, {4, 20}}));
  EXPECT_EQ(station.NextDue(), std::nullopt);
}

TEST(Station, ALateCallLosesNoCapacity) {
  Station station(1, kStart, {});
  for (uint64_t ticket = 1; ticket <= 5; ++ticket) station.Offer(ticket, milliseconds{10}, kStart);
  EXPECT_EQ(RunTo(&station, 1000), (Done{{1, 10}, {2, 20}, {3, 30}, {4, 40}, {5, 50}}));
}

TEST(Station, ASlowerSpeedStretchesWhatRunsAndWhatWaits) {
  Station station(1, kStart, {});
  station.Offer(1, milliseconds{10}, kStart);
  station.Offer(2, milliseconds{10}, kStart);
  RunTo(&station, 4);
  station.SetSpeed(0.3, kStart + milliseconds{4});
  // 6 ms of work are left, which take 20 ms; then 10 ms take 33.3.
  EXPECT_EQ(RunTo(&station, 24), (Done{{1, 24}}));
  EXPECT_EQ(RunTo(&station, 100), (Done{{2, 57}}));
  station.SetSpeed(1, kStart + milliseconds{100});
  station.Offer(3, milliseconds{10}, kStart + milliseconds{100});
  EXPECT_EQ(RunTo(&station, 200), (Done{{3, 110}}));
}

TEST(Station, WhoLeavesMakesRoom) {
  Station station(1, kStart, {});
  for (uint64_t ticket = 1; ticket <= 3; ++ticket) station.Offer(ticket, milliseconds{10}, kStart);
  RunTo(&station, 5);
  station.Cancel(1, kStart + milliseconds{5});  // in its place
  station.Cancel(3, kStart + milliseconds{5});  // in the queue
  EXPECT_EQ(RunTo(&station, 100), (Done{{2, 15}}));
  EXPECT_EQ(station.waiting(), 0u);
}

TEST(Station, BusyTimeIsTheWorkDoneWhateverTheCalls) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    const size_t places = 1 + random() % 5;
    nanoseconds busy{0};
    size_t most = 0;
    Station station(places, kStart, [&](MonoTime from, MonoTime to, size_t n) {
      ASSERT_LT(from, to);
      busy += static_cast<int64_t>(n) * (to - from);
      most = std::max(most, n);
    });
    nanoseconds offered{0};
    MonoTime now = kStart;
    size_t served = 0;
    const auto count = [&served](uint64_t, MonoTime) { ++served; };
    for (uint64_t ticket = 1; ticket <= 100; ++ticket) {
      now += milliseconds{random() % 10};
      station.Run(now, count);
      const milliseconds work{random() % 20};
      offered += work;
      station.Offer(ticket, work, now);
    }
    while (const auto due = station.NextDue()) station.Run(*due, count);
    EXPECT_EQ(served, 100u);
    EXPECT_LE(most, places);
    EXPECT_NEAR(static_cast<double>(busy.count()), static_cast<double>(offered.count()), 1e3);
  }
}

}  // namespace
}  // namespace dyncast::web
