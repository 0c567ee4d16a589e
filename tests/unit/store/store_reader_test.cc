// The API's queries: right rows, names as filters, and no way to smuggle SQL in.
#include "controller/io/store_reader.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/store/store_support.h"

namespace dyncast {
namespace {

using store_test::At;
using store_test::Ended;
using store_test::Key;
using store_test::MustFlush;
using store_test::MustOpen;
using store_test::Shell;
using store_test::Started;
using store_test::TempDir;

class Reader : public testing::Test {
 protected:
  void SetUp() override {
    path_ = dir_.File("a.db");
    store_ = MustOpen(path_);
    store_test::PostNames(store_.get());
    for (uint32_t i = 0; i < 10; ++i) store_->Post(Started(Key(i), i < 4 ? 1 : 2, 100 + i));
    store_->Post(Ended(Key(9), 200));
    for (int i = 0; i < 5; ++i) {
      store_->Post(EventRecord{.at = At(i), .kind = "k", .subject = std::to_string(i), .detail = ""});
    }
    MustFlush(store_.get());
    auto reader = StoreReader::Open(path_);
    ASSERT_TRUE(reader.ok()) << reader.error().ToString();
    reader_ = std::move(*reader);
  }
  size_t Count(const BindingFilter& filter) {
    const auto rows = reader_->ListBindings(filter);
    EXPECT_TRUE(rows.ok()) << (rows.ok() ? "" : rows.error().ToString());
    const auto count = reader_->CountBindings(filter);
    EXPECT_TRUE(count.ok());
    if (filter.offset == 0 && filter.limit > 100) {
      EXPECT_EQ(*count, rows->size());
    }
    return rows->size();
  }

  TempDir dir_;
  std::string path_;
  std::unique_ptr<BindingStore> store_;
  std::unique_ptr<StoreReader> reader_;
};

TEST_F(Reader, FiltersAndPages) {
  EXPECT_EQ(Count({}), 9u);
  EXPECT_EQ(Count({.service = "web"}), 9u);
  EXPECT_EQ(Count({.service = "198.51.100.1"}), 9u);
  EXPECT_EQ(Count({.service = "other"}), 0u);
  EXPECT_EQ(Count({.client = "10.0.0.3"}), 1u);
  EXPECT_EQ(Count({.instance = "web-1"}), 4u);
  EXPECT_EQ(Count({.instance = "web-2", .switch_name = "router-1"}), 5u);
  EXPECT_EQ(Count({.switch_name = "router-2"}), 0u);
  EXPECT_EQ(Count({.limit = 4}), 4u);
  EXPECT_EQ(Count({.limit = 4, .offset = 8}), 1u);
  EXPECT_EQ(*reader_->CountBindings(std::string("router-1")), 9u);
  const auto row = reader_->ListBindings({.client = "10.0.0.3"})->at(0);
  EXPECT_EQ(row.at("instance"), "web-1");
  EXPECT_EQ(row.at("src_port"), 1027);
  EXPECT_EQ(row.at("created_at"), 103.0);
}

TEST_F(Reader, ValuesAreNotSql) {
  const std::vector<std::string> all = {"' OR 1=1 --", "x'; DROP TABLE binding; --", "%", "\"",
                                        std::string("a\0b", 3)};
  for (const std::string& evil : all) {
    EXPECT_EQ(Count({.service = evil}), 0u);
    EXPECT_EQ(Count({.client = evil}), 0u);
    EXPECT_EQ(Count({.instance = evil}), 0u);
    EXPECT_EQ(Count({.switch_name = evil}), 0u);
  }
  EXPECT_EQ(Count({}), 9u);
}

TEST_F(Reader, DecisionsAndHistory) {
  const auto decision = reader_->DecisionFor(Key(3));
  ASSERT_TRUE(decision.ok()) << decision.error().ToString();
  EXPECT_EQ(decision->at("instance"), "web-1");
  EXPECT_EQ(decision->at("policy"), "least-bindings");
  EXPECT_EQ(decision->at("scores").at(1).at("bindings"), 40);
  EXPECT_EQ(decision->at("candidates").at(1).at("excluded"), "draining");
  BindingKey other = Key(3);
  other.src_port = 1;
  EXPECT_TRUE(reader_->DecisionFor(other)->is_null());
  EXPECT_TRUE(reader_->DecisionFor(Key(9))->is_null());  // not live any more
  const auto past = reader_->DecisionFor("10.0.0.9", "web");
  ASSERT_TRUE(past.ok());
  EXPECT_EQ(past->at("live"), 0);
  EXPECT_TRUE(reader_->DecisionFor("10.0.0.9", "none")->is_null());
  const auto history = reader_->History({});
  ASSERT_EQ(history->size(), 1u);
  EXPECT_EQ(history->at(0).at("reason"), "idle");
  EXPECT_EQ(reader_->Decisions({})->size(), 10u);
  EXPECT_EQ(reader_->Decisions({.limit = 1})->at(0).at("client"), "10.0.0.9");
}

TEST_F(Reader, EventsFollow) {
  const auto newest = reader_->ListEvents(0, 2);
  ASSERT_EQ(newest->size(), 2u);
  EXPECT_EQ(newest->at(0).at("subject"), "3");
  EXPECT_EQ(newest->at(1).at("subject"), "4");
  const auto after = reader_->ListEvents(1, 2);
  ASSERT_EQ(after->size(), 2u);
  EXPECT_EQ(after->at(0).at("id"), 2);
  EXPECT_TRUE(reader_->ListEvents(5, 100)->empty());
}

TEST_F(Reader, FollowsARestoredFile) {
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path_ + suffix);
  store_->Post(Started(Key(50), 1, 300));
  MustFlush(store_.get());
  EXPECT_EQ(Count({}), 10u);
}

TEST_F(Reader, LookupsByClientUseTheKey) {
  Shell shell(path_);
  for (const std::string view : {"bindings", "binding_history", "decisions"}) {
    for (const std::string& step :
         shell.Rows("EXPLAIN QUERY PLAN SELECT * FROM " + view + " WHERE client = '10.0.0.3'")) {
      for (const std::string scan : {"SCAN b", "SCAN h", "SCAN binding", "SCAN history", "MATERIALIZE"}) {
        EXPECT_EQ(step.find(scan), std::string::npos) << view << ": " << step;
      }
    }
  }
}

TEST(StoreReaderOpen, MissingFileIsSaid) {
  TempDir dir;
  const auto reader = StoreReader::Open(dir.File("none.db"));
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(reader.error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace dyncast
