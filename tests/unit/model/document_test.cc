// docs/metrics.md shows the known rules as they are.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "schema/model/score.h"

namespace dyncast {
namespace {

std::string Number(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

TEST(MetricsDocument, ListsTheKnownRules) {
  const char* folder = std::getenv("DYNCAST_SOURCE_DIR");
  std::ifstream in(std::string(folder == nullptr ? "." : folder) + "/docs/metrics.md");
  ASSERT_TRUE(in);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::string table = "| metric | category | worst | best | per |\n|---|---|---|---|---|\n";
  for (const ScoreRule& rule : DefaultScoreModel().rules) {
    const auto* linear = std::get_if<MinMax>(&rule.normalisation);
    ASSERT_NE(linear, nullptr) << rule.metric << ": the document says that all are min-max";
    EXPECT_EQ(rule.weight, 1);
    EXPECT_FALSE(rule.over_time);
    table += "| `" + rule.metric + "` | " + std::string(ScoreCategoryName(rule.category)) + " | " +
             Number(linear->worst) + " | " + Number(linear->best) + " | ";
    if (rule.per != CapacityTerm::kNone) table += "`" + std::string(CapacityTermName(rule.per)) + "` ";
    table += "|\n";
  }
  EXPECT_NE(text.find(table), std::string::npos) << "docs/metrics.md must hold this table:\n" << table;
}

}  // namespace
}  // namespace dyncast
