// docs/configuration.md is the option tables' output.
#include "schema/config/reference.h"

#include <gmock/gmock.h>

#include "schema/config/agent.h"
#include "schema/config/fabric.h"
#include "tests/unit/config/texts.h"

namespace dyncast::config {
namespace {

using ::testing::HasSubstr;

TEST(Reference, CommittedDocumentIsUpToDate) {
  EXPECT_TRUE(ReadSource("docs/configuration.md") == ConfigurationDocument())
      << "docs/configuration.md differs from the option tables. Regenerate it:\n"
         "  cmake --build BUILD --target dyncast-config-reference\n"
         "  BUILD/bin/dyncast-config-reference > docs/configuration.md";
}

TEST(Reference, ShowsKeyTypeDefaultAndRule) {
  const std::string fabric = FabricReferenceMarkdown();
  EXPECT_THAT(fabric, HasSubstr("### `services[].affinity`"));
  EXPECT_THAT(fabric, HasSubstr("| `idle_timeout` | duration | `1m` | 1s to 65535s |"));
  EXPECT_THAT(fabric, HasSubstr("| `bridge` | interface name | required |"));
  EXPECT_THAT(AgentReferenceMarkdown(), HasSubstr("### `instances[].scrape.metrics[]`"));
}

}  // namespace
}  // namespace dyncast::config
