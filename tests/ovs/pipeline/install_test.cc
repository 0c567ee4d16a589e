// Every flow text is one that a real switch takes, holds and shows as it was meant.
#include "tests/ovs/pipeline/pipeline_fixture.h"

namespace dyncast::test {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

TEST_F(PipelineTest, SwitchHoldsExactlyWhatWasCompiled) {
  const Result<std::vector<std::string>> flows = ovs->DumpFlows("br0");
  ASSERT_GOOD(flows);
  EXPECT_THAT(*flows, SizeIs(compiled.flows.size()));
  // diff-flows parses the file as the switch would and compares match, cookie, timeouts and actions.
  const Result<std::string> same =
      ovs->Ofctl({"diff-flows", ovs->Management("br0"), ovs->dir() + "/flows.txt"});
  EXPECT_TRUE(same.ok()) << same.error().ToString();
  const Result<std::string> meters = ovs->Ofctl({"dump-meters", ovs->Management("br0")});
  ASSERT_GOOD(meters);
  EXPECT_THAT(*meters, HasSubstr("rate=20000 burst_size=20000"));
  EXPECT_THAT(*meters, HasSubstr("rate=1000 burst_size=1000"));
  EXPECT_THAT(*meters, HasSubstr("rate=5000 burst_size=5000"));
}

TEST_F(PipelineTest, DifferenceIsFound) {
  ASSERT_GOOD(ovs->DeleteFlows("br0", "table=40,reg0=11"));
  EXPECT_FALSE(ovs->Ofctl({"diff-flows", ovs->Management("br0"), ovs->dir() + "/flows.txt"}).ok());
}

// The check of the logs at the end of every test can fail.
TEST(DummyOvs, LogCheckSeesAWarning) {
  Result<std::unique_ptr<DummyOvs>> started = DummyOvs::Start();
  ASSERT_GOOD(started);
  DummyOvs& ovs = **started;
  ASSERT_GOOD(ovs.AddBridge("br0", DatapathId{1}));
  EXPECT_THAT(ovs.BadLogLines(), testing::IsEmpty());
  (void)ovs.Vsctl({"add-port", "br0", "odd", "--", "set", "interface", "odd", "type=nonesuch"});
  EXPECT_THAT(ovs.BadLogLines(), testing::Contains(HasSubstr("nonesuch")));
  EXPECT_THAT(ovs.BadLogLines({"nonesuch", "odd"}), testing::IsEmpty());
}

}  // namespace
}  // namespace dyncast::test
