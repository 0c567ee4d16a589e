// The SQLite database behind a writer thread of its own. The control thread posts records and never
// waits for the disk; a mailbox merges what belongs to the same row, so that its size is bounded by the
// number of rows, not by time. When the database is full or locked, steering goes on: records are kept
// and tried again while there is room, then dropped, and both are counted.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "schema/base/result.h"
#include "schema/base/time.h"
#include "schema/model/record.h"

namespace dyncast {

struct StoreOptions {
  std::string path;
  size_t max_pending = 400000;  // records waiting; beyond it new history and events are dropped, counted
  std::chrono::milliseconds flush_interval{50};
  std::chrono::hours history_retention{24 * 7};
};

struct StoreCounters {
  uint64_t posted = 0;
  uint64_t written = 0;
  uint64_t merged = 0;    // superseded before they were written
  uint64_t dropped = 0;   // lost for ever
  uint64_t failures = 0;  // transactions that failed and were tried again
  uint64_t pending = 0;
  std::string last_error;
  bool healthy = true;
};

class BindingStore {
 public:
  // Opens or makes the database, migrates its schema (never back: a newer schema is refused), starts
  // the writer. An unusable file is an error that names it.
  static Result<std::unique_ptr<BindingStore>> Open(const StoreOptions& options);
  virtual ~BindingStore() = default;

  // What was there, read once before the first Post.
  virtual Result<PersistedState> Load() = 0;
  // Never blocks on the disk. Any thread, but one at a time per row.
  virtual void Post(Record record) = 0;
  virtual void PostMany(std::vector<Record> records) = 0;
  // Waits until all that was posted is on disk, or `timeout` passed (then kUnavailable). kLimit: it is on
  // disk but for records that were dropped since the last Flush.
  virtual Status Flush(std::chrono::milliseconds timeout) = 0;
  virtual StoreCounters Counters() const = 0;
};

}  // namespace dyncast
