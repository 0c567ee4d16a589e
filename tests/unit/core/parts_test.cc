// Id allocator, binding table, planner.
#include <map>
#include <random>

#include "controller/core/binding_table.h"
#include "controller/core/id_allocator.h"
#include "controller/core/planner.h"
#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

TEST(IdAllocator, GivesNewNumbersAboveOldOnesAndKeepsThem) {
  IdAllocator<SwitchId> ids;
  EXPECT_TRUE(ids.Adopt("a", SwitchId{3}));
  EXPECT_FALSE(ids.Adopt("b", SwitchId{3}));
  EXPECT_FALSE(ids.Adopt("a", SwitchId{4}));
  EXPECT_FALSE(ids.Adopt("z", SwitchId{0}));
  EXPECT_EQ(ids.Get("b"), SwitchId{4});
  EXPECT_EQ(ids.Get("b"), SwitchId{4});
  EXPECT_EQ(ids.Get("a"), SwitchId{3});
  EXPECT_EQ(ids.Find("c"), std::nullopt);
}

TEST(IdAllocator, FillsGapsAtTheTopAndRefusesWhenFull) {
  using Small = StrongId<struct SmallTag, uint8_t>;
  IdAllocator<Small> ids;
  EXPECT_TRUE(ids.Adopt("top", Small{255}));
  EXPECT_EQ(ids.Get("x"), Small{1});
  for (int i = 0; i < 253; ++i) EXPECT_TRUE(ids.Get("n" + std::to_string(i)).has_value()) << i;
  EXPECT_EQ(ids.Get("one too many"), std::nullopt);
  EXPECT_EQ(ids.Get("x"), Small{1});
}

BindingKey Key(uint32_t n) {
  return {.client = IpAddress::V4(0x0a000000u + n / 1000),
          .src_port = static_cast<uint16_t>(n % 1000 + 1),
          .dst_port = 80,
          .service = ServiceId{static_cast<uint16_t>(n % 3 + 1)},
          .at = SwitchId{static_cast<uint16_t>(n % 2 + 1)},
          .proto = IpProto::kTcp};
}

TEST(BindingTable, AgreesWithAMapUnderRandomUse) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  BindingTable table(seed);
  std::map<BindingKey, InstanceId> model;
  for (int step = 0; step < 60000; ++step) {
    // Grows in the first part, shrinks in the last.
    const BindingKey key = Key(static_cast<uint32_t>(random() % 4000));
    const bool insert = random() % 100 < (step < 30000 ? 65u : 30u);
    BindingRow* row = table.Find(key);
    ASSERT_EQ(row != nullptr, model.count(key) == 1);
    if (row != nullptr) {
      ASSERT_EQ(row->instance, model[key]);
    }
    if (insert && row == nullptr) {
      const InstanceId instance{static_cast<uint16_t>(random() % 5 + 1)};
      ASSERT_EQ(table.Insert({.key = key, .instance = instance})->key, key);
      model[key] = instance;
    } else if (!insert) {
      ASSERT_EQ(table.Erase(key), model.erase(key) == 1);
    } else if (random() % 4 == 0) {
      table.Rebind(row, InstanceId{9});
      model[key] = InstanceId{9};
    }
    ASSERT_EQ(table.size(), model.size());
  }
  std::map<InstanceId, uint32_t> per_instance;
  std::map<std::pair<ServiceId, SwitchId>, uint32_t> per_pair;
  size_t seen = 0;
  table.ForEach([&](const BindingRow& row) {
    ++seen;
    ASSERT_EQ(model.at(row.key), row.instance);
    ++per_instance[row.instance];
    ++per_pair[{row.key.service, row.key.at}];
  });
  EXPECT_EQ(seen, model.size());
  for (uint16_t i = 1; i < 11; ++i) EXPECT_EQ(table.CountOf(InstanceId{i}), per_instance[InstanceId{i}]);
  for (uint16_t s = 1; s <= 3; ++s) {
    for (uint16_t a = 1; a <= 2; ++a) {
      EXPECT_EQ(table.CountOf(ServiceId{s}, SwitchId{a}), (per_pair[{ServiceId{s}, SwitchId{a}}]));
    }
  }
}

TEST(BindingTable, StaysSmall) {
  BindingTable table(1);
  for (uint32_t n = 0; n < 100000; ++n) {
    table.Insert({.key = Key(n), .instance = InstanceId{1}});
    if (n >= 1000 && n % 997 == 0) {
      ASSERT_LE(table.bytes() / table.size(), 150u) << n;
    }
  }
  for (uint32_t n = 0; n < 99000; ++n) table.Erase(Key(n));
  EXPECT_LE(table.bytes() / table.size(), 300u);
  for (uint32_t n = 99000; n < 100000; ++n) table.Erase(Key(n));
  EXPECT_EQ(table.size(), 0u);
}

TEST(Planner, LeavesOutPortsWithoutNumberAndRoutesThroughThem) {
  const auto config = SmallFabric();
  ServiceTable services;
  services.Configure(config.services);
  AgentTracker agents;
  Registry registry(&services, &agents);
  const SwitchPlan plan =
      MakePlan(config, config.switches[0], SwitchId{1}, {{"acc1", PortNo{4}}}, services, registry, {}, {});
  ASSERT_EQ(plan.ports.size(), 1u);
  EXPECT_EQ(plan.ports[0].number, PortNo{4});
  EXPECT_EQ(plan.ports[0].sources, (std::vector<IpPrefix>{Net("10.11.0.0/24")}));
  EXPECT_TRUE(plan.routes.empty());
  EXPECT_EQ(plan.services.size(), 2u);

  const SwitchPlan whole = MakePlan(config, config.switches[0], SwitchId{1},
                                    {{"acc1", PortNo{4}}, {"up1", PortNo{5}}}, services, registry, {}, {});
  EXPECT_EQ(whole.routes.size(), 1u);
  EXPECT_TRUE(whole.ports[1].sources.empty());
  const OnLink link = FindOnLink(whole, Ip("10.9.1.254"));
  ASSERT_NE(link.port, nullptr);
  EXPECT_EQ(link.port->name, "up1");
  EXPECT_EQ(link.gateway, Ip("10.9.1.1"));
  EXPECT_EQ(FindOnLink(whole, Ip("192.0.2.1")).port, nullptr);
}

TEST(Services, TellWhatAConfigurationChanges) {
  ServiceTable services;
  auto specs = SmallFabric().services;
  EXPECT_EQ(services.Configure(specs).records.size(), 2u);
  specs[0].affinity.idle_timeout = std::chrono::seconds{5};
  specs[0].selection.policy = PolicyKind::kStatic;
  auto changes = services.Configure(specs);
  EXPECT_TRUE(changes.records.empty());
  EXPECT_TRUE(changes.unbind.empty());
  specs[0].affinity.kind = AffinityKind::kClient;
  changes = services.Configure(specs);
  ASSERT_EQ(changes.unbind.size(), 1u);
  const ServiceId web = changes.unbind[0];
  specs.erase(specs.begin());
  changes = services.Configure(specs);
  ASSERT_EQ(changes.unbind, (std::vector<ServiceId>{web}));
  ASSERT_EQ(changes.records.size(), 1u);
  EXPECT_TRUE(changes.records[0].removed);
  // It comes back under its old number.
  changes = services.Configure(SmallFabric().services);
  ASSERT_EQ(changes.records.size(), 1u);
  EXPECT_EQ(changes.records[0].id, web);
  EXPECT_FALSE(changes.records[0].removed);
}

TEST(Services, KeyFitsOnlyWhatItsAffinityMakes) {
  const BindingKey five{.client = Ip("10.1.2.3"),
                        .src_port = 1000,
                        .dst_port = 80,
                        .service = ServiceId{1},
                        .at = SwitchId{1},
                        .proto = IpProto::kTcp};
  const BindingKey three{
      .client = Ip("10.1.2.3"), .service = ServiceId{1}, .at = SwitchId{1}, .proto = IpProto::kTcp};
  const BindingKey client{.client = Ip("10.1.2.3"), .service = ServiceId{1}, .at = SwitchId{1}};
  const auto fits = [](AffinityKind kind, const BindingKey& key) { return KeyFits({.kind = kind}, key); };
  EXPECT_TRUE(fits(AffinityKind::k5Tuple, five));
  EXPECT_FALSE(fits(AffinityKind::k4Tuple, five));
  EXPECT_FALSE(fits(AffinityKind::k3Tuple, five));
  EXPECT_TRUE(fits(AffinityKind::k3Tuple, three));
  EXPECT_FALSE(fits(AffinityKind::k5Tuple, three));
  EXPECT_TRUE(fits(AffinityKind::kClient, client));
  EXPECT_FALSE(fits(AffinityKind::k3Tuple, client));
  EXPECT_FALSE(KeyFits({.kind = AffinityKind::kClientPrefix, .prefix_v4 = 24}, client));
}

}  // namespace
}  // namespace dyncast::core
