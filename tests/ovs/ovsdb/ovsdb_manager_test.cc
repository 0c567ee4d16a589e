#include "ovs-integration/ovsdb/ovsdb_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ovs/ovsdb/servers.h"

namespace dyncast::ovsdb {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class OvsdbManagerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    servers_.CreateDatabase();
    servers_.StartDatabase();
    servers_.StartSwitch();
  }

  DesiredBridge Wish() const {
    return {.switch_name = "d1",
            .remote = servers_.remote(),
            .fabric = "f1",
            .bridge = "br0",
            .datapath_type = "netdev",
            .dpid = DatapathId{0xd1},
            .controller_target = "tcp:127.0.0.1:6653",
            .adopt = false,
            .ports = {"br0", "p1", "p2"}};
  }

  // Ready, and every wanted port has its number.
  static bool UntilUp(Driver* driver, size_t ports) {
    return driver->Until([=] {
      const BridgeStatus status = driver->Only();
      return status.state == "ready" && status.ports.size() == ports;
    });
  }

  Servers servers_;
};

TEST_F(OvsdbManagerTest, MakesABridgeAndASecondRunChangesNothing) {
  Driver first;
  first.manager.SetDesired({Wish()});
  ASSERT_TRUE(UntilUp(&first, 3)) << first.Only().last_error;
  EXPECT_EQ(first.Only().transactions, 1u);
  EXPECT_EQ(first.ports["d1"], first.Only().ports);
  EXPECT_EQ(first.ports["d1"][0].first, "br0");
  EXPECT_EQ(first.ports["d1"][0].second, PortNo{0xfffffffe});
  EXPECT_THAT(first.problems, IsEmpty());
  EXPECT_THAT(servers_.Vsctl("get Bridge br0 datapath_id"), HasSubstr("00000000000000d1"));
  EXPECT_THAT(servers_.Vsctl("get-fail-mode br0"), HasSubstr("secure"));
  EXPECT_THAT(servers_.Vsctl("get-controller br0"), HasSubstr("tcp:127.0.0.1:6653"));

  const std::string before = servers_.Dump();
  Driver second;
  second.manager.SetDesired({Wish()});
  ASSERT_TRUE(UntilUp(&second, 3)) << second.Only().last_error;
  EXPECT_EQ(second.Only().transactions, 0u);
  EXPECT_EQ(servers_.Dump(), before);
}

TEST_F(OvsdbManagerTest, ForeignBridgeIsRefusedThenAdopted) {
  servers_.Vsctl("add-br br0 -- add-port br0 theirs -- set-controller br0 tcp:127.0.0.9:1");
  const std::string before = servers_.Dump();
  Driver driver;
  driver.manager.SetDesired({Wish()});
  ASSERT_TRUE(driver.Until([&] { return driver.Only().state == "refused"; }));
  EXPECT_THAT(driver.problems, ElementsAre(HasSubstr("bridge br0 exists and is not ours")));
  EXPECT_EQ(servers_.Dump(), before);

  DesiredBridge wish = Wish();
  wish.adopt = true;
  driver.manager.SetDesired({wish});
  ASSERT_TRUE(UntilUp(&driver, 3)) << driver.Only().last_error;
  EXPECT_THAT(servers_.Vsctl("list-ports br0"), HasSubstr("theirs"));
  EXPECT_THAT(servers_.Vsctl("get-controller br0"), HasSubstr("tcp:127.0.0.9:1"));
  EXPECT_THAT(driver.problems, Contains(HasSubstr("also has the controller tcp:127.0.0.9:1")));
}

TEST_F(OvsdbManagerTest, DeletedBridgeComesBack) {
  Driver driver;
  driver.manager.SetDesired({Wish()});
  ASSERT_TRUE(UntilUp(&driver, 3)) << driver.Only().last_error;
  servers_.Vsctl("del-br br0");
  ASSERT_TRUE(driver.Until([&] { return driver.Only().bridges_remade == 1; }));
  ASSERT_TRUE(UntilUp(&driver, 3)) << driver.Only().last_error;
  EXPECT_EQ(driver.Only().transactions, 2u);
}

TEST_F(OvsdbManagerTest, OthersRowsStayAndOurSurplusPortGoes) {
  servers_.Vsctl("add-br theirs -- add-port theirs p2 -- set-fail-mode theirs standalone");
  Driver driver;
  driver.manager.SetDesired({Wish()});
  ASSERT_TRUE(UntilUp(&driver, 2)) << driver.Only().last_error;
  EXPECT_THAT(driver.problems, ElementsAre("port p2 is on bridge theirs, not on br0: it is left there"));
  servers_.Vsctl("add-port br0 extra");

  DesiredBridge wish = Wish();
  wish.ports = {"p3"};
  driver.manager.SetDesired({wish});
  ASSERT_TRUE(driver.Until([&] {
    return driver.ports["d1"].size() == 1 && driver.ports["d1"][0].first == "p3";
  })) << driver.Only().last_error;
  const std::string ports = servers_.Vsctl("list-ports br0");
  EXPECT_EQ(ports, "extra\np3\n");
  EXPECT_EQ(servers_.Vsctl("list-ports theirs"), "p2\n");
  EXPECT_EQ(servers_.Vsctl("get-fail-mode theirs"), "standalone\n");
}

TEST_F(OvsdbManagerTest, PortThatTheSwitchCannotOpenIsNamed) {
  Driver driver;
  DesiredBridge wish = Wish();
  driver.manager.SetDesired({wish});
  ASSERT_TRUE(UntilUp(&driver, 3)) << driver.Only().last_error;
  servers_.Vsctl("set Interface p1 type=nonsense");
  ASSERT_TRUE(driver.Until([&] { return !driver.problems.empty(); }));
  EXPECT_THAT(driver.problems[0], HasSubstr("interface p1 of bridge br0 has no OpenFlow port: "));
  servers_.Vsctl("set Interface p1 type=\\\"\\\"");
  ASSERT_TRUE(UntilUp(&driver, 3)) << driver.Only().last_error;
  EXPECT_TRUE(driver.Only().last_error.empty()) << driver.Only().last_error;
}

TEST_F(OvsdbManagerTest, ReconnectsAfterTheDatabaseServerRestarted) {
  Driver driver;
  driver.manager.SetDesired({Wish()});
  ASSERT_TRUE(UntilUp(&driver, 3)) << driver.Only().last_error;
  const auto ports = driver.ports["d1"];
  servers_.StopDatabase();
  ASSERT_TRUE(driver.Until([&] { return driver.Only().state == "connecting"; }));
  EXPECT_THAT(driver.problems, Contains(HasSubstr("lost")));
  servers_.StartDatabase();
  ASSERT_TRUE(UntilUp(&driver, 3)) << driver.Only().last_error;
  EXPECT_EQ(driver.Only().reconnects, 1u);
  EXPECT_EQ(driver.Only().transactions, 1u);
  EXPECT_EQ(driver.ports["d1"], ports);
}

TEST_F(OvsdbManagerTest, TheTunnelIsMadeKeptAndTakenAway) {
  DesiredBridge wish = Wish();
  wish.tunnel = {.port = "gnv0", .local_ip = "10.0.0.1"};
  Driver driver;
  driver.manager.SetDesired({wish});
  ASSERT_TRUE(UntilUp(&driver, 4)) << driver.Only().last_error;
  EXPECT_EQ(driver.ports["d1"].back().first, "gnv0");
  EXPECT_THAT(servers_.Ofctl("br0", "show", ""),
              HasSubstr(std::to_string(driver.ports["d1"].back().second.value()) + "(gnv0)"));
  EXPECT_THAT(servers_.Vsctl("get Interface gnv0 type options"),
              HasSubstr("geneve\n{csum=\"true\", key=\"0\", local_ip=\"10.0.0.1\", remote_ip=flow}"));
  const std::string before = servers_.Dump();
  {
    Driver second;
    second.manager.SetDesired({wish});
    ASSERT_TRUE(UntilUp(&second, 4)) << second.Only().last_error;
    EXPECT_EQ(second.Only().transactions, 0u);
    EXPECT_EQ(servers_.Dump(), before);
  }
  // Changed by somebody, it is put right; deleted, it is made again.
  const auto right = [&] {
    return driver.Until([&] {
      return driver.Only().state == "ready" && driver.Only().ports.size() == 4 && servers_.Dump() == before;
    });
  };
  servers_.Vsctl("set Interface gnv0 options:remote_ip=192.0.2.1");
  EXPECT_TRUE(right()) << servers_.Dump();
  servers_.Vsctl("del-port gnv0");
  ASSERT_TRUE(driver.Until([&] { return driver.Only().ports.size() == 3; }));
  EXPECT_TRUE(UntilUp(&driver, 4)) << driver.Only().last_error;
  EXPECT_THAT(driver.problems, IsEmpty());

  driver.manager.SetDesired({Wish()});
  ASSERT_TRUE(driver.Until([&] { return driver.ports["d1"].size() == 3; }));
  ASSERT_TRUE(UntilUp(&driver, 3)) << driver.Only().last_error;
  EXPECT_EQ(servers_.Vsctl("list-ports br0"), "p1\np2\n");
}

TEST_F(OvsdbManagerTest, AnothersPortIsNoTunnel) {
  DesiredBridge wish = Wish();
  Driver driver;
  driver.manager.SetDesired({wish});
  ASSERT_TRUE(UntilUp(&driver, 3)) << driver.Only().last_error;
  servers_.Vsctl("add-port br0 gnv0 -- set Interface gnv0 type=geneve options:remote_ip=192.0.2.1");
  const std::string before = servers_.Dump();
  wish.tunnel = {.port = "gnv0", .local_ip = "10.0.0.1"};
  driver.manager.SetDesired({wish});
  ASSERT_TRUE(driver.Until([&] { return !driver.problems.empty(); }));
  EXPECT_THAT(driver.problems, ElementsAre(HasSubstr("port gnv0 of bridge br0 is not ours")));
  EXPECT_EQ(driver.Only().ports.size(), 3u);
  EXPECT_EQ(servers_.Dump(), before);
}

TEST_F(OvsdbManagerTest, UnwantedBridgeIsGivenBack) {
  Driver driver;
  driver.manager.SetDesired({Wish()});
  ASSERT_TRUE(UntilUp(&driver, 3)) << driver.Only().last_error;
  driver.manager.SetDesired({});
  ASSERT_TRUE(driver.Until([&] { return servers_.Vsctl("get-controller br0").empty(); }));
  EXPECT_THAT(servers_.Vsctl("get Bridge br0 external_ids"), Not(HasSubstr("dyncast")));
  EXPECT_EQ(servers_.Vsctl("list-ports br0"), "p1\np2\n");
  EXPECT_THAT(driver.manager.Statuses(), IsEmpty());
}

TEST_F(OvsdbManagerTest, TwoSwitchesCannotHaveOneBridge) {
  Driver driver;
  DesiredBridge second = Wish();
  second.switch_name = "d2";
  second.dpid = DatapathId{0xd2};
  driver.manager.SetDesired({Wish(), second});
  ASSERT_TRUE(driver.Until([&] {
    const std::vector<BridgeStatus> statuses = driver.manager.Statuses();
    return statuses.size() == 2 && statuses[0].state == "ready" && statuses[1].state == "refused";
  }));
  EXPECT_THAT(driver.problems, ElementsAre(HasSubstr("is already that of switch d1")));
}

TEST_F(OvsdbManagerTest, RenamedSwitchKeepsItsBridge) {
  Driver driver;
  driver.manager.SetDesired({Wish()});
  ASSERT_TRUE(UntilUp(&driver, 3)) << driver.Only().last_error;
  DesiredBridge renamed = Wish();
  renamed.switch_name = "router-1";
  driver.manager.SetDesired({renamed});
  ASSERT_TRUE(
      driver.Until([&] { return driver.Only().transactions == 2 && driver.Only().state == "ready"; }));
  EXPECT_THAT(servers_.Vsctl("get Bridge br0 external_ids:dyncast-switch"), HasSubstr("router-1"));
  EXPECT_EQ(driver.ports["router-1"].size(), 3u);
}

TEST_F(OvsdbManagerTest, TheSwitchTakesZonesAndTableLimits) {
  DesiredBridge wish = Wish();
  wish.zones = {{.zone = 5, .idle = std::chrono::seconds(300), .closing = std::chrono::seconds(7)},
                {.zone = 6, .idle = std::chrono::seconds(500)}};
  wish.binding_flow_limit = 3;
  Driver driver;
  driver.manager.SetDesired({wish});
  ASSERT_TRUE(UntilUp(&driver, 3)) << driver.Only().last_error;
  EXPECT_THAT(driver.problems, IsEmpty());
  // A second controller finds nothing to change.
  const std::string before = servers_.Dump();
  Driver second;
  second.manager.SetDesired({wish});
  ASSERT_TRUE(UntilUp(&second, 3)) << second.Only().last_error;
  EXPECT_EQ(second.Only().transactions, 0u);
  EXPECT_EQ(servers_.Dump(), before);

  // The limit holds in each of the three tables.
  for (const char* table : {"20", "21", "22"}) {
    std::string flows;
    for (int i = 1; i <= 3; ++i) {
      servers_.Ofctl("br0", "add-flow",
                     "'table=" + std::string(table) + ",reg1=" + std::to_string(i) + ",actions=drop'");
    }
    const std::string refused = servers_.Ofctl(
        "br0", "add-flow", "'table=" + std::string(table) + ",reg1=9,actions=drop' 2>&1 || true");
    EXPECT_THAT(refused, HasSubstr("TABLE_FULL"));
  }
  // A connection in a zone lives as long as its policy says.
  for (const char* zone : {"5", "6"}) {
    servers_.Ofctl(
        "br0", "add-flow",
        "'priority=" + std::string(zone) + ",udp,tp_dst=" + zone + ",actions=ct(commit,zone=" + zone + ")'");
    servers_.Appctl(
        "netdev-dummy/receive p1 "
        "'in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),"
        "ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src=7,dst=" +
        std::string(zone) + ")'");
  }
  std::string connections;
  EXPECT_TRUE(driver.Until([&] {
    connections = servers_.Appctl("dpctl/dump-conntrack -m -s netdev@ovs-netdev 2>&1 || true");
    return connections.find("zone=5") != std::string::npos && connections.find("zone=6") != std::string::npos;
  })) << connections;
  const auto timeout_of = [&](const std::string& zone) {
    size_t at = connections.find("zone=" + zone + ",");
    if (at != std::string::npos) at = connections.find("timeout=", at);
    return at == std::string::npos ? 0 : std::stoi(connections.substr(at + 8));
  };
  EXPECT_NEAR(timeout_of("5"), 300, 10) << connections;
  EXPECT_NEAR(timeout_of("6"), 500, 10) << connections;

  // No longer wanted: gone, and nothing else with them.
  servers_.Vsctl("-- --id=@t create Flow_Table flow_limit=77 -- set Bridge br0 flow_tables:30=@t");
  driver.manager.SetDesired({Wish()});
  ASSERT_TRUE(driver.Until([&] {
    return servers_.Vsctl("--columns=flow_limit list Flow_Table").find("flow_limit") != std::string::npos &&
           servers_.Vsctl("list CT_Zone").empty();
  }));
  EXPECT_THAT(servers_.Vsctl("get Bridge br0 flow_tables"), testing::StartsWith("{30="));
  ASSERT_TRUE(driver.UntilReady());
  EXPECT_THAT(driver.problems, IsEmpty());
}

}  // namespace
}  // namespace dyncast::ovsdb
