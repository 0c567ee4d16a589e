// docs/wire.md shows the example agent as it is.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace {

std::string Read(const std::string& path) {
  const char* folder = std::getenv("DYNCAST_SOURCE_DIR");
  std::ifstream in(std::string(folder == nullptr ? "." : folder) + "/" + path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(WireDocument, HoldsTheExampleAgent) {
  const std::string agent = Read("docs/examples/agent.py");
  ASSERT_FALSE(agent.empty());
  EXPECT_NE(Read("docs/wire.md").find("```python\n" + agent + "```\n"), std::string::npos)
      << "copy docs/examples/agent.py into docs/wire.md";
}

}  // namespace
