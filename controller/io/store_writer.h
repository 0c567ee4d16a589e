// Writes a generation of the mailbox into the database, piece by piece, each piece one transaction. Used
// by the writer thread alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "controller/io/store_mailbox.h"
#include "controller/io/store_sqlite.h"
#include "schema/base/result.h"

namespace dyncast::store {

// How the set of stored keys changed with a transaction.
struct KeyChanges {
  std::vector<uint64_t> inserted;
  std::vector<uint64_t> erased;
};

// Where in a generation the next piece starts: its kinds in order, and the row within the kind.
struct WritePosition {
  size_t kind = 0;
  size_t row = 0;
};

struct Piece {
  WritePosition next;
  bool last = false;    // the generation is written to its end
  uint64_t tokens = 0;  // posted records that are in the database now
  uint64_t history_rows = 0;
  KeyChanges keys;
};

class Writer {
 public:
  // Takes the connection (of OpenForWriting) and prepares its statements.
  static Result<std::unique_ptr<Writer>> Make(Database db);

  // Writes at most `max_rows` rows of `mailbox` from `position` on, in one transaction. After an error
  // nothing of the piece is in the database, and the same call may be made again.
  Result<Piece> Write(const Mailbox& mailbox, WritePosition position, size_t max_rows);

  struct Pruned {
    uint64_t history = 0;
    bool more = false;  // this piece was full: there may be more to delete
  };
  // Deletes up to `max_rows` each of the oldest history, events and decision contexts from before
  // `cutoff`, in one transaction. A context that a live binding refers to stays.
  Result<Pruned> Prune(WallTime cutoff, size_t max_rows);

  // Moves the log's content into the database file as far as readers allow.
  Status Checkpoint();

  Database& db() { return db_; }

 private:
  explicit Writer(Database db) : db_(std::move(db)) {}
  Status PrepareAll();
  Status Begin();
  // Commits, or rolls back and says why.
  Status Commit();
  Error Rollback(std::string_view doing);

  bool WriteRow(const Mailbox& mailbox, const WritePosition& at, Piece* piece);
  bool WriteSwitch(const SwitchRecord& r);
  bool WriteService(const ServiceRecord& r);
  bool WriteInstance(const InstanceRecord& r);
  bool WriteContext(const DecisionContextRecord& r);
  bool WriteEvent(const EventRecord& r);
  bool WriteMetrics(const MetricsRecord& r);
  bool WritePaths(const PathsRecord& r);
  bool WriteLinks(const LinksRecord& r);
  bool WriteHistory(const HistoryRow& r);
  bool WriteEntry(const BindingEntry& entry, Piece* piece);
  bool EndStored(const BindingEntry& entry, const StoredChange& change, Piece* piece);
  // The key's six columns from `first` on; the client's text lives in client_text_.
  void BindKey(Statement* s, int first, const BindingKey& key);
  // The eighteen columns of binding and history from column 1 on.
  void BindRow(Statement* s, const LiveRow& row);

  Database db_;
  Statement begin_, commit_, insert_switch_, insert_service_, insert_instance_, insert_context_,
      insert_event_, insert_metrics_, insert_paths_, insert_links_, insert_history_, insert_binding_, touch_,
      copy_to_history_, delete_, prune_history_, prune_events_, prune_contexts_;
  int64_t context_cursor_ = 0;  // contexts up to this id were looked at in this round of pruning
  std::string client_text_, sid_text_, scores_text_;
};

// The statement that a binding is inserted with; also what the benchmark's bare case measures itself by.
extern const char* const kBindingColumns;

}  // namespace dyncast::store
