#include "tests/support/relay/delay_queue.h"

#include <gtest/gtest.h>

namespace dyncast::relay {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr MonoTime kStart{std::chrono::seconds{1000}};

std::vector<uint8_t> FrameOf(size_t bytes, uint8_t mark) { return std::vector<uint8_t>(bytes, mark); }

// Takes everything out in the order of delivery, with the time at which each frame came due.
std::vector<std::pair<MonoTime, uint8_t>> Drain(DelayQueue* queue) {
  std::vector<std::pair<MonoTime, uint8_t>> out;
  while (const auto due = queue->NextDue()) {
    auto frame = queue->PopDue(*due);
    EXPECT_TRUE(frame.has_value());
    out.emplace_back(*due, frame->front());
  }
  return out;
}

TEST(DelayQueue, DeliversNothingBeforeTheDelayAndAllAfterIt) {
  DelayQueue queue({.delay = milliseconds{5}});
  queue.Offer(FrameOf(60, 1), kStart);
  EXPECT_EQ(queue.PopDue(kStart + microseconds{4999}), std::nullopt);
  ASSERT_EQ(queue.NextDue(), kStart + milliseconds{5});
  EXPECT_EQ(queue.PopDue(kStart + milliseconds{5}), FrameOf(60, 1));
  EXPECT_EQ(queue.NextDue(), std::nullopt);
  EXPECT_EQ(queue.counters().delivered, 1u);
}

TEST(DelayQueue, WithoutDelayAFrameIsDueAtOnce) {
  DelayQueue queue({});
  queue.Offer(FrameOf(60, 1), kStart);
  EXPECT_TRUE(queue.PopDue(kStart).has_value());
}

TEST(DelayQueue, RateSpacesFramesByTheirLength) {
  // 1,250 bytes at 10 Mbit/s take 1 ms.
  DelayQueue queue({.delay = milliseconds{2}, .rate_bits_per_s = 10e6});
  for (uint8_t i = 0; i < 4; ++i) {
    queue.Offer(FrameOf(1250, i), kStart);
  }
  const auto out = Drain(&queue);
  ASSERT_EQ(out.size(), 4u);
  for (size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(out[i].first, kStart + milliseconds{3 + static_cast<int64_t>(i)});
  }
}

TEST(DelayQueue, AnIdleLinkDoesNotSaveUpRate) {
  DelayQueue queue({.rate_bits_per_s = 10e6});
  queue.Offer(FrameOf(1250, 1), kStart);
  Drain(&queue);
  const MonoTime later = kStart + std::chrono::seconds{10};
  queue.Offer(FrameOf(1250, 2), later);
  queue.Offer(FrameOf(1250, 3), later);
  const auto out = Drain(&queue);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].first, later + milliseconds{1});
  EXPECT_EQ(out[1].first, later + milliseconds{2});
}

TEST(DelayQueue, JitterStaysInItsBoundsAndKeepsOrder) {
  DelayQueue queue({.delay = milliseconds{10}, .jitter = milliseconds{4}, .seed = 7});
  bool varied = false;
  for (int i = 0; i < 200; ++i) {
    const MonoTime now = kStart + milliseconds{20 * i};
    queue.Offer(FrameOf(60, static_cast<uint8_t>(i)), now);
    const auto out = Drain(&queue);
    ASSERT_EQ(out.size(), 1u);
    const auto took = out[0].first - now;
    EXPECT_GE(took, milliseconds{6});
    EXPECT_LE(took, milliseconds{14});
    varied |= took != milliseconds{10};
  }
  EXPECT_TRUE(varied);

  for (uint8_t i = 0; i < 100; ++i) {
    queue.Offer(FrameOf(60, i), kStart + std::chrono::seconds{100} + microseconds{i});
  }
  const auto out = Drain(&queue);
  ASSERT_EQ(out.size(), 100u);
  for (size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(out[i].second, i);
  }
}

TEST(DelayQueue, FreeOrderLetsFramesOvertake) {
  DelayQueue queue({.delay = milliseconds{10}, .jitter = milliseconds{9}, .order = Order::kFree, .seed = 3});
  for (uint8_t i = 0; i < 100; ++i) {
    queue.Offer(FrameOf(60, i), kStart + microseconds{i});
  }
  const auto out = Drain(&queue);
  ASSERT_EQ(out.size(), 100u);
  bool overtaken = false;
  for (size_t i = 1; i < out.size(); ++i) {
    EXPECT_GE(out[i].first, out[i - 1].first);
    overtaken |= out[i].second < out[i - 1].second;
  }
  EXPECT_TRUE(overtaken);
}

TEST(DelayQueue, LossIsTheAskedShareAndRepeatable) {
  const auto lost_with_seed = [](uint64_t seed) {
    DelayQueue queue({.loss = 0.1, .queue_frames = 20000, .seed = seed});
    for (int i = 0; i < 10000; ++i) {
      queue.Offer(FrameOf(60, 0), kStart);
    }
    return queue.counters().lost;
  };
  EXPECT_NEAR(static_cast<double>(lost_with_seed(1)), 1000.0, 150.0);
  EXPECT_EQ(lost_with_seed(1), lost_with_seed(1));
  EXPECT_NE(lost_with_seed(1), lost_with_seed(2));
}

TEST(DelayQueue, AFullQueueDropsAndCounts) {
  DelayQueue queue({.delay = milliseconds{1}, .queue_frames = 3});
  for (uint8_t i = 0; i < 5; ++i) {
    queue.Offer(FrameOf(60, i), kStart);
  }
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue.counters().queue_full, 2u);
  EXPECT_EQ(Drain(&queue).size(), 3u);
  const LinkCounters& c = queue.counters();
  EXPECT_EQ(c.offered, c.delivered + c.lost + c.queue_full);
}

}  // namespace
}  // namespace dyncast::relay
