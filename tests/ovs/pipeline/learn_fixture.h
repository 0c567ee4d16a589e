// A switch that dispatches by itself (learn_plan.h), on a real ovs-vswitchd.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/ovs/pipeline/demand_frame.h"
#include "tests/ovs/pipeline/learn_plan.h"
#include "tests/support/dummy_ovs/dummy_ovs.h"

namespace dyncast::test {

class LearnTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  // When bridge and ports are there, but no flows.
  virtual void Prepare() {}

  // Puts the plan in place of what the switch holds of plans before; learned flows stay.
  void Install();
  PlannedService& Service(uint16_t id);
  void EraseInstance(InstanceId id);

  DemandFrame Demand4(uint16_t service) const;
  DemandFrame Demand6(uint16_t service) const;
  // The answer to `demand` from `bid`.
  DemandFrame Answer(const DemandFrame& demand, const IpAddress& bid) const;
  BindingKey KeyOf(uint16_t service, const DemandFrame& demand);
  // The instance that the group must choose.
  InstanceId Predicted(uint16_t service, const DemandFrame& demand);
  IpAddress BidOf(InstanceId id) const;

  // Frames that the switch has taken from `port`.
  uint64_t Received(const std::string& port);
  // Injects frames at `port`, as many at a time as a dummy port takes.
  void InjectAll(const std::string& port, const std::vector<Bytes>& frames);
  // Injects one demand and returns the D-BID it left for; none after a failure.
  IpAddress SendDemand(const DemandFrame& demand);
  // The same the other way: the source that the client sees.
  IpAddress SendAnswer(const DemandFrame& answer);
  // Waits until the datapath goes by the tables as they are, and packets of known flows have had their
  // effects on them: OVS lets that wait for up to 500 ms.
  void Settle();
  std::vector<std::string> Bindings(const std::string& match = "table=20");
  bool Works(const Status& status);

  SwitchPlan plan = LearnPlan();
  pipeline::Compiled compiled;
  std::unique_ptr<DummyOvs> ovs;
};

}  // namespace dyncast::test
