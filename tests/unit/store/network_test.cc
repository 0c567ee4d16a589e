// The network in the database: what each agent says newest of its ways, and what each switch counted newest.
#include <gtest/gtest.h>

#include "tests/unit/store/store_support.h"

namespace dyncast {
namespace {

using store_test::At;
using store_test::MustFlush;
using store_test::MustOpen;
using store_test::PostNames;
using store_test::Shell;
using store_test::TempDir;

PathSample Path(const std::string& peer, double loss) {
  PathSample path;
  path.peer = peer;
  path.loss = loss;
  path.sent = 50;
  path.window = std::chrono::milliseconds(5000);
  return path;
}

class StoredNetwork : public testing::Test {
 protected:
  void SetUp() override { store_ = MustOpen(dir_.File("a.db")); }
  void Say(const std::string& agent, double at, std::vector<PathSample> paths) {
    store_->Post(PathsRecord{.agent = agent, .at = At(at), .paths = std::move(paths)});
  }
  void Count(uint16_t at_switch, double at, std::vector<LinkSample> links) {
    store_->Post(LinksRecord{.at_switch = SwitchId(at_switch), .at = At(at), .links = std::move(links)});
  }
  std::vector<std::string> Rows(const std::string& sql) {
    MustFlush(store_.get());
    return Shell(dir_.File("a.db")).Rows(sql);
  }
  TempDir dir_;
  std::unique_ptr<BindingStore> store_;
};

TEST_F(StoredNetwork, AllColumnsOfPaths) {
  PathSample full = Path("edge3", 0.25);
  full.rtt = Micros(10285);
  full.rtt_min = Micros(10113);
  full.jitter_forward = Micros(143);
  full.jitter_backward = Micros(0);
  full.loss_forward = 0.125;
  full.loss_backward = 0;
  PathSample lost = Path("edge3", 1);
  lost.ipv6 = true;
  Say("edge2", 7.5, {full, lost});
  EXPECT_EQ(
      Rows("SELECT * FROM paths ORDER BY family"),
      (std::vector<std::string>{"edge2|edge3|ipv4|0.010285|0.010113|0.000143|0.0|0.25|0.125|0.0|50|5.0|7.5",
                                "edge2|edge3|ipv6|NULL|NULL|NULL|NULL|1.0|NULL|NULL|50|5.0|7.5"}));
}

TEST_F(StoredNetwork, OnlyTheNewestOfEachAgent) {
  Say("edge2", 1, {Path("edge3", 0), Path("edge4", 0)});
  Say("edge3", 2, {Path("edge2", 0.5)});
  Say("edge2", 3, {Path("edge4", 0.1)});
  EXPECT_EQ(Rows("SELECT agent, peer, loss, at FROM paths ORDER BY agent"),
            (std::vector<std::string>{"edge2|edge4|0.1|3.0", "edge3|edge2|0.5|2.0"}));
  Say("edge2", 4, {Path("edge3", 0.2)});
  Say("edge3", 4, {});
  EXPECT_EQ(Rows("SELECT agent, peer, loss, at FROM paths"),
            (std::vector<std::string>{"edge2|edge3|0.2|4.0"}));
}

TEST_F(StoredNetwork, AManyTimesSaidPathIsOneRecordInTheMailbox) {
  for (int i = 0; i < 10000; ++i) Say("edge2", i, {Path("edge3", 0)});
  MustFlush(store_.get());
  const StoreCounters counters = store_->Counters();
  EXPECT_EQ(counters.dropped, 0u);
  EXPECT_EQ(Rows("SELECT count(*) FROM path_report"), std::vector<std::string>{"1"});
}

LinkSample Link(const std::string& port) {
  LinkSample link;
  link.port = port;
  return link;
}

TEST_F(StoredNetwork, AllColumnsOfLinks) {
  PostNames(store_.get());
  LinkSample full = Link("up1");
  full.role = PortRole::kUplink;
  full.speed_bit_s = 1000000000;
  full.counters = PortCounters{.number = PortNo(2),
                               .in_bytes = uint64_t{1} << 40,
                               .out_bytes = 2,
                               .in_packets = 3,
                               .out_packets = 4,
                               .in_dropped = 5,
                               .out_dropped = 6};
  full.rates = PortRates{.window = Micros(10250000),
                         .in_bit_s = 250000000,
                         .out_bit_s = 0,
                         .in_packets_s = 20833.5,
                         .out_packets_s = 1};
  LinkSample once = Link("acc1");  // counted once, no speed, drops are not counted
  once.counters = PortCounters{.number = PortNo(1), .in_bytes = 7};
  Count(1, 7.5, {full, once, Link("acc2")});
  EXPECT_EQ(
      Rows("SELECT * FROM links ORDER BY port DESC"),
      (std::vector<std::string>{
          "router-1|up1|uplink|250000000.0|0.0|20833.5|1.0|1000000000|0.25|0.0|1099511627776|2|3|4|5|6|10.25|"
          "7.5",
          "router-1|acc2|access|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|7.5",
          "router-1|acc1|access|NULL|NULL|NULL|NULL|NULL|NULL|NULL|7|NULL|NULL|NULL|NULL|NULL|NULL|7.5"}));
}

TEST_F(StoredNetwork, OnlyTheNewestOfEachSwitch) {
  PostNames(store_.get());
  store_->Post(SwitchRecord{.id = SwitchId(2), .name = "router-2", .role = SwitchRole::kDRouter});
  Count(1, 1, {Link("a"), Link("b")});
  Count(2, 2, {Link("c")});
  Count(1, 3, {Link("b")});
  EXPECT_EQ(Rows("SELECT switch, port, at FROM links ORDER BY switch"),
            (std::vector<std::string>{"router-1|b|3.0", "router-2|c|2.0"}));
  Count(2, 4, {});
  EXPECT_EQ(Rows("SELECT switch, port, at FROM links"), std::vector<std::string>{"router-1|b|3.0"});
}

TEST_F(StoredNetwork, AControllerThatStartsKnowsNothingOfIt) {
  Say("edge2", 1, {Path("edge3", 0)});
  Count(1, 1, {Link("a")});
  EXPECT_EQ(Rows("SELECT count(*) FROM paths, links"), std::vector<std::string>{"1"});
  store_.reset();
  store_ = MustOpen(dir_.File("a.db"));
  EXPECT_EQ(Rows("SELECT (SELECT count(*) FROM path_report) + (SELECT count(*) FROM link_report)"),
            std::vector<std::string>{"0"});
}

}  // namespace
}  // namespace dyncast
