#include "schema/config/yaml_tree.h"

#include <gmock/gmock.h>

#include "schema/config/fabric.h"

namespace dyncast::config {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string ErrorOf(const std::string& text) {
  const Result<YamlNode> node = ParseYaml(text, "x.yaml");
  return node.ok() ? "no error" : node.error().ToString();
}

TEST(YamlTree, KeepsOrderRepetitionAndPlaces) {
  const Result<YamlNode> root = ParseYaml("b: 1\na: [x, 'y z']\nb: ~\n", "x.yaml");
  ASSERT_TRUE(root.ok()) << root.error().ToString();
  ASSERT_EQ(root->entries.size(), 3u);
  EXPECT_EQ(root->entries[0].key, "b");
  EXPECT_EQ(root->entries[1].key, "a");
  EXPECT_EQ(root->entries[1].value.items[1].scalar, "y z");
  EXPECT_EQ(root->entries[1].value.items[1].place.line, 2);
  EXPECT_EQ(root->entries[1].value.items[1].place.column, 8);
  EXPECT_EQ(root->entries[2].key, "b");
  EXPECT_EQ(root->entries[2].place.line, 3);
  EXPECT_EQ(root->entries[2].value.kind, YamlNode::Kind::kNull);
}

TEST(YamlTree, RefusesWhatNoConfigurationNeeds) {
  EXPECT_EQ(ErrorOf(""), "x.yaml: nothing in it");
  EXPECT_EQ(ErrorOf("# only a comment\n"), "x.yaml: nothing in it");
  EXPECT_THAT(ErrorOf("a: 1\n---\nb: 2\n"), HasSubstr("a second document"));
  EXPECT_THAT(ErrorOf("a: &x 1\nb: *x\n"), HasSubstr("x.yaml:1:4: an anchor"));
  EXPECT_THAT(ErrorOf("a: *x\n"), StartsWith("x.yaml:1:"));
  EXPECT_THAT(ErrorOf("a: !!binary abcd\n"), HasSubstr("tags are not allowed"));
  EXPECT_THAT(ErrorOf("[a, b]: 1\n"), HasSubstr("a key must be a plain word"));
  EXPECT_THAT(ErrorOf("~: 1\n"), HasSubstr("a key must be a plain word"));
  EXPECT_THAT(ErrorOf("a: [1, 2\n"), HasSubstr("not YAML"));
  EXPECT_THAT(ErrorOf("a: 1\n\tb: 2\n"), StartsWith("x.yaml:2:"));
  EXPECT_EQ(ErrorOf(std::string("a: 1\nb: \0", 9)), "x.yaml:2:4: byte 0x00 is not text");
  EXPECT_EQ(ErrorOf("\xff\xfe"), "x.yaml:1:1: byte 0xff is not text");
}

TEST(YamlTree, BoundsSizeAndDepth) {
  EXPECT_THAT(ErrorOf(std::string(kMaxYamlBytes + 1, ' ')), HasSubstr("at most 1048576 are read"));
  EXPECT_EQ(ErrorOf(std::string(50, '[') + std::string(50, ']')), "no error");
  EXPECT_EQ(ErrorOf(std::string(51, '[') + std::string(51, ']')),
            "x.yaml:1:51: nested deeper than 50 levels");
  EXPECT_THAT(ErrorOf(std::string(20000, '[')), StartsWith("x.yaml:1:"));
  EXPECT_THAT(ErrorOf(std::string(20000, '{')), StartsWith("x.yaml:1:"));
  std::string dashes;
  for (int i = 0; i < 10000; ++i) dashes += "- ";
  EXPECT_THAT(ErrorOf(dashes), HasSubstr("nested deeper"));
  std::string steps;
  for (size_t i = 0; i < 1000; ++i) steps += std::string(i, ' ') + "a:\n";
  EXPECT_THAT(ErrorOf(steps), HasSubstr("nested deeper"));
}

TEST(YamlTree, RootMustBeAMap) {
  EXPECT_EQ(ParseFabric("- a\n", "x.yaml").error().ToString(),
            "x.yaml:1:1: the file must hold a map, not a list");
  EXPECT_EQ(ParseFabric("abc", "x.yaml").error().ToString(),
            "x.yaml:1:1: the file must hold a map, not a single value");
}

}  // namespace
}  // namespace dyncast::config
