// Bindings that switches make by themselves: bursts of them are in the database within a second, and a
// decision says by which shares it was made.
#include <gtest/gtest.h>

#include <chrono>

#include "tests/unit/store/store_support.h"

namespace dyncast {
namespace {

using store_test::Ended;
using store_test::Key;
using store_test::MustFlush;
using store_test::MustOpen;
using store_test::PostNames;
using store_test::Shell;
using store_test::TempDir;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::chrono::seconds kSoon{10};
#else
constexpr std::chrono::seconds kSoon{1};
#endif

constexpr uint32_t kBurst = 20000;

// Not long ago: older history would be pruned.
const double kNow = static_cast<double>(UnixMicros(ReadClocks().wall)) / 1e6;

// Every other one IPv6, whose text takes longer to make.
BindingKey LearnedKey(uint32_t n) {
  BindingKey key = Key(n);
  if (n % 2 == 0) return key;
  std::array<uint8_t, 16> octets = {0xfd, 0, 0, 0x10};
  for (size_t i = 15; i > 11; --i, n >>= 8) octets[i] = static_cast<uint8_t>(n);
  key.client = IpAddress::V6(octets);
  return key;
}

BindingStarted Learned(uint32_t n, uint16_t instance, double at) {
  BindingStarted b = store_test::Started(LearnedKey(n), instance, at);
  b.decided_by = DecidedBy::kSwitch;
  b.decision.kept = 0;
  return b;
}

// Waits until the query gives `rows`; the time that it took.
std::chrono::milliseconds TimeUntil(Shell* shell, const std::string& sql, uint32_t rows) {
  const auto start = std::chrono::steady_clock::now();
  const std::string wanted = std::to_string(rows);
  std::chrono::milliseconds took{0};
  while (shell->One(sql) != wanted && took < std::chrono::seconds(60)) {
    took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  }
  EXPECT_EQ(shell->One(sql), wanted) << sql;
  return took;
}

TEST(LearnedBindings, ABurstIsInTheDatabaseWithinASecond) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  PostNames(store.get());
  MustFlush(store.get());
  Shell shell(path);

  // One by one, as the control thread posts what the flow monitor says.
  for (uint32_t i = 0; i < kBurst; ++i) store->Post(Learned(i, 1, kNow - 100));
  EXPECT_LT(TimeUntil(&shell, "SELECT count(*) FROM bindings", kBurst), kSoon);

  // An instance goes: half of them are learned anew on another one, each an end and a start.
  for (uint32_t i = 0; i < kBurst / 2; ++i) {
    store->Post(Ended(LearnedKey(i), kNow - 90, EndReason::kInstanceGone));
    BindingStarted again = Learned(i, 2, kNow - 90);
    again.reason = StartReason::kInstanceGone;
    store->Post(again);
  }
  EXPECT_LT(TimeUntil(&shell, "SELECT count(*) FROM binding WHERE instance_id = 2", kBurst / 2), kSoon);
  EXPECT_EQ(shell.One("SELECT count(*) FROM bindings"), std::to_string(kBurst));

  for (uint32_t i = 0; i < kBurst; ++i) store->Post(Ended(LearnedKey(i), kNow - 30));
  EXPECT_LT(TimeUntil(&shell, "SELECT count(*) FROM history", kBurst + kBurst / 2), kSoon);
  EXPECT_EQ(shell.One("SELECT count(*) FROM bindings"), "0");
  EXPECT_EQ(shell.One("SELECT count(*) FROM binding_history WHERE decided_by = 'switch'"),
            std::to_string(kBurst + kBurst / 2));
  EXPECT_EQ(store->Counters().dropped, 0u);
}

TEST(LearnedBindings, BurstsBackToBackLoseNothing) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  // Each burst ends while the next one comes. The writer may lag by two bursts, as it does on a slow disk.
  constexpr uint32_t kBursts = 8;
  for (uint32_t burst = 0; burst < kBursts; ++burst) {
    while (store->Counters().pending > 4 * kBurst) {
    }
    for (uint32_t i = 0; i < kBurst; ++i) {
      store->Post(Learned(burst * kBurst + i, 1, kNow));
      if (burst > 0) store->Post(Ended(LearnedKey((burst - 1) * kBurst + i), kNow));
    }
  }
  const Status done = store->Flush(std::chrono::seconds(120));
  EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().ToString());
  Shell shell(path);
  EXPECT_EQ(shell.One("SELECT count(*) FROM bindings"), std::to_string(kBurst));
  EXPECT_EQ(shell.One("SELECT count(*) FROM history"), std::to_string(kBurst * (kBursts - 1)));
}

TEST(LearnedBindings, DecisionsSayTheSharesAndWhoseTheyAre) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  PostNames(store.get());
  DecisionContextRecord context;
  context.context = 8;
  context.service = ServiceId(1);
  context.policy = PolicyKind::kStatic;
  context.at = store_test::At(5);
  context.switch_id = SwitchId(1);
  for (const uint16_t id : std::initializer_list<uint16_t>{1, 2}) {
    CandidateContext candidate;
    candidate.instance = InstanceId(id);
    candidate.share = 0.25 * id;
    context.candidates.push_back(candidate);
  }
  store->Post(context);
  BindingStarted learned = Learned(2, 2, 6);
  learned.decision.context = 8;
  store->Post(learned);
  store->Post(store_test::Started(Key(4), 1, 7));  // decided by the controller: context 7 has no shares
  MustFlush(store.get());
  Shell shell(path);
  EXPECT_EQ(shell.Rows("SELECT context, switch, json_extract(candidates, '$[1].instance'), "
                       "json_extract(candidates, '$[1].share') FROM decision_contexts ORDER BY context"),
            (std::vector<std::string>{"7|NULL|web-9|NULL", "8|router-1|web-2|0.5"}));
  EXPECT_EQ(shell.Rows("SELECT client, decided_by, instance, policy, share, cost FROM decisions ORDER BY at"),
            (std::vector<std::string>{"10.0.0.2|switch|web-2|static|0.5|NULL",
                                      "10.0.0.4|controller|web-1|least-bindings|NULL|0.5"}));
}

}  // namespace
}  // namespace dyncast
