// Read-only queries on the controller's database, for the API's threads. Rows come as JSON objects whose
// field names are the columns of the documented views (docs/database.md); SQL NULL is JSON null, and the
// columns that hold JSON (scores, candidates) come as JSON.
//
// Thread-safe: a mutex lets one query run at a time; a thread that wants its own opens its own reader.
// A query sees one consistent state and never waits for the writer. Values are bound, never pasted into
// SQL. If the file was replaced by the writer (it restores a removed one), the next query opens the new one.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "schema/base/result.h"
#include "schema/model/binding.h"

namespace dyncast {

// Every field that is not empty must be equal. Names as in the views; a service may also be named by its
// D-SID; `client` is an address (for a masked affinity key: the masked address).
struct BindingFilter {
  std::string service{};
  std::string client{};
  std::string instance{};
  std::string switch_name{};
  uint32_t limit = 1000;  // at most kMaxRows; more is cut to kMaxRows
  uint32_t offset = 0;
};

class StoreReader {
 public:
  static constexpr uint32_t kMaxRows = 100000;

  // kNotFound: no such file; kIo: not readable, not a database, not ours.
  static Result<std::unique_ptr<StoreReader>> Open(const std::string& path);
  ~StoreReader();
  StoreReader(const StoreReader&) = delete;
  StoreReader& operator=(const StoreReader&) = delete;

  // View `bindings`, ordered by client, service, switch, ports.
  Result<nlohmann::json> ListBindings(const BindingFilter& filter);
  // How many there are, whatever limit and offset say.
  Result<uint64_t> CountBindings(const BindingFilter& filter);
  Result<uint64_t> CountBindings(const std::string& switch_name);
  // View `binding_history`, latest first.
  Result<nlohmann::json> History(const BindingFilter& filter);
  // View `decisions` (live and past), latest first: why each binding is or was where it is.
  Result<nlohmann::json> Decisions(const BindingFilter& filter);
  // The decision behind the live binding of `key`, as a row of `decisions`; null if there is none.
  Result<nlohmann::json> DecisionFor(const BindingKey& key);
  // The latest decision for a client and service on any switch, live or past; null if there is none.
  Result<nlohmann::json> DecisionFor(const std::string& client, const std::string& service);
  // View `events` in the order they happened: those with id > `after_id`, oldest first, at most `limit`.
  // `after_id` 0 (ids start at 1) gives the newest `limit`, so that a follower starts at the end.
  Result<nlohmann::json> ListEvents(int64_t after_id, uint32_t limit);

 private:
  struct Impl;
  explicit StoreReader(std::unique_ptr<Impl> impl);
  std::mutex mutex_;
  std::unique_ptr<Impl> impl_;  // guarded by mutex_
};

}  // namespace dyncast
