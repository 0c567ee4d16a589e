#include "controller/io/store_writer.h"

#include <utility>

#include "controller/io/store_json.h"
#include "schema/model/record.h"

namespace dyncast::store {

// The views' CASE expressions hold these numbers: a changed enumeration needs a migration.
static_assert(static_cast<int>(DecidedBy::kController) == 0 && static_cast<int>(DecidedBy::kForwarder) == 2);
static_assert(static_cast<int>(EndReason::kIdle) == 0 && static_cast<int>(EndReason::kAwayEnded) == 6);
static_assert(static_cast<int>(InstanceState::kUp) == 0 && static_cast<int>(InstanceState::kDown) == 2);
static_assert(static_cast<int>(StartReason::kNew) == 0 && static_cast<int>(StartReason::kFound) == 2);

#define DYNCAST_BINDING_COLUMNS                                                              \
  "client, service_id, switch_id, src_port, dst_port, proto, instance_id, sid, decided_by, " \
  "start_reason, created_at_us, last_seen_at_us, idle_timeout_s, packets, bytes, context, "  \
  "candidate_count, scores"
#define DYNCAST_BINDING_KEY_IS                                                                  \
  "client = ?1 AND service_id = ?2 AND switch_id = ?3 AND src_port = ?4 AND dst_port = ?5 AND " \
  "proto = ?6"

const char* const kBindingColumns = DYNCAST_BINDING_COLUMNS;

Result<std::unique_ptr<Writer>> Writer::Make(Database db) {
  std::unique_ptr<Writer> writer(new Writer(std::move(db)));
  // Short: another process that holds the lock makes us try again later, not hang in SQLite.
  sqlite3_busy_timeout(writer->db_.raw(), 100);
  if (Status prepared = writer->PrepareAll(); !prepared.ok()) return prepared.error();
  // What an earlier controller saw of the network is old, and nobody may be there any more to say so.
  if (Status emptied = writer->db_.Execute("DELETE FROM path_report; DELETE FROM link_report;");
      !emptied.ok()) {
    return emptied.error();
  }
  return writer;
}

Status Writer::PrepareAll() {
  const std::pair<Statement*, const char*> all[] = {
      {&begin_, "BEGIN IMMEDIATE"},
      {&commit_, "COMMIT"},
      {&insert_switch_, "INSERT OR REPLACE INTO switch (id, name, role) VALUES (?, ?, ?)"},
      {&insert_service_,
       "INSERT OR REPLACE INTO service (id, name, sid_v4, sid_v6, removed) VALUES (?, ?, ?, ?, ?)"},
      {&insert_instance_,
       "INSERT OR REPLACE INTO instance (id, name, service_id, bid, agent, cpu_cores, memory_bytes, gpus, "
       "max_sessions, requests_per_s, state, reason, drained_by_operator, changed_at_us, drain_until_us) "
       "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
      {&insert_context_,
       "INSERT OR REPLACE INTO decision_context (id, service_id, policy, at_us, candidates, switch_id) "
       "VALUES (?, ?, ?, ?, ?, ?)"},
      {&insert_event_, "INSERT INTO event (at_us, kind, subject, detail) VALUES (?, ?, ?, ?)"},
      {&insert_metrics_,
       "INSERT OR REPLACE INTO metric_report (instance_id, at_us, samples, scores, scores_at_us) VALUES "
       "(?, ?, ?, ?, ?)"},
      {&insert_paths_, "INSERT OR REPLACE INTO path_report (agent, at_us, samples) VALUES (?, ?, ?)"},
      {&insert_links_, "INSERT OR REPLACE INTO link_report (switch_id, at_us, samples) VALUES (?, ?, ?)"},
      {&insert_history_, "INSERT INTO history (" DYNCAST_BINDING_COLUMNS
                         ", ended_at_us, end_reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                         "?, ?, ?, ?, ?)"},
      {&insert_binding_, "INSERT INTO binding (" DYNCAST_BINDING_COLUMNS
                         ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                         "ON CONFLICT DO NOTHING"},
      {&touch_,
       "UPDATE binding SET last_seen_at_us = ?7, packets = ?8, bytes = ?9 "
       "WHERE " DYNCAST_BINDING_KEY_IS},
      {&copy_to_history_,
       "INSERT INTO history (" DYNCAST_BINDING_COLUMNS
       ", ended_at_us, end_reason) SELECT client, service_id, switch_id, src_port, dst_port, proto, "
       "instance_id, sid, decided_by, start_reason, created_at_us, coalesce(?7, last_seen_at_us), "
       "idle_timeout_s, coalesce(?8, packets), coalesce(?9, bytes), context, candidate_count, scores, "
       "?10, ?11 FROM binding WHERE " DYNCAST_BINDING_KEY_IS},
      {&delete_, "DELETE FROM binding WHERE " DYNCAST_BINDING_KEY_IS},
      {&prune_history_,
       "DELETE FROM history WHERE id IN (SELECT id FROM (SELECT id, ended_at_us FROM history ORDER BY id "
       "LIMIT ?2) WHERE ended_at_us < ?1)"},
      {&prune_events_,
       "DELETE FROM event WHERE id IN (SELECT id FROM (SELECT id, at_us FROM event ORDER BY id LIMIT ?2) "
       "WHERE at_us < ?1)"},
      {&prune_contexts_,
       "DELETE FROM decision_context WHERE id > ?1 AND id <= ?2 AND at_us < ?3 AND id NOT IN "
       "(SELECT context FROM binding WHERE context > ?1 AND context <= ?2)"},
  };
  for (const auto& [statement, sql] : all) {
    Result<Statement> prepared = Statement::Prepare(db_, sql);
    if (!prepared.ok()) return prepared.error();
    *statement = std::move(*prepared);
  }
  return Ok();
}

Status Writer::Begin() {
  if (!begin_.Run()) return db_.LastError("starting a transaction");
  return Ok();
}

Error Writer::Rollback(std::string_view doing) {
  Error error = db_.LastError(doing);
  // Some errors have rolled back by themselves.
  if (sqlite3_get_autocommit(db_.raw()) == 0) (void)db_.Execute("ROLLBACK");
  return error;
}

Status Writer::Commit() {
  if (!commit_.Run()) return Rollback("committing");
  return Ok();
}

Result<Piece> Writer::Write(const Mailbox& mailbox, WritePosition position, size_t max_rows) {
  const std::array<size_t, 10> sizes = {
      mailbox.switches().size(), mailbox.services().size(), mailbox.instances().size(),
      mailbox.contexts().size(), mailbox.history().size(),  mailbox.entries().size(),
      mailbox.events().size(),   mailbox.metrics().size(),  mailbox.paths().size(),
      mailbox.links().size(),
  };
  if (Status begun = Begin(); !begun.ok()) return begun.error();
  Piece piece;
  size_t rows = 0;
  while (position.kind < sizes.size() && rows < max_rows) {
    if (position.row >= sizes[position.kind]) {
      ++position.kind;
      position.row = 0;
      continue;
    }
    if (!WriteRow(mailbox, position, &piece)) return Rollback("writing");
    ++position.row;
    ++rows;
  }
  if (Status committed = Commit(); !committed.ok()) return committed.error();
  piece.next = position;
  piece.last = position.kind >= sizes.size();
  return piece;
}

bool Writer::WriteRow(const Mailbox& mailbox, const WritePosition& at, Piece* piece) {
  if (at.kind == 5) return WriteEntry(mailbox.entries()[at.row], piece);
  ++piece->tokens;
  switch (at.kind) {
    case 0: return WriteSwitch(mailbox.switches()[at.row]);
    case 1: return WriteService(mailbox.services()[at.row]);
    case 2: return WriteInstance(mailbox.instances()[at.row]);
    case 3: return WriteContext(mailbox.contexts()[at.row]);
    case 4: ++piece->history_rows; return WriteHistory(mailbox.history()[at.row]);
    case 6: return WriteEvent(mailbox.events()[at.row]);
    case 7: return WriteMetrics(mailbox.metrics()[at.row]);
    case 8: return WritePaths(mailbox.paths()[at.row]);
    default: return WriteLinks(mailbox.links()[at.row]);
  }
}

bool Writer::WriteSwitch(const SwitchRecord& r) {
  insert_switch_.Bind(1, r.id.value());
  insert_switch_.BindText(2, r.name);
  insert_switch_.BindText(3, SwitchRoleName(r.role));
  return insert_switch_.Run();
}

bool Writer::WriteService(const ServiceRecord& r) {
  const std::string v4 = r.sid_v4 ? r.sid_v4->ToString() : std::string();
  const std::string v6 = r.sid_v6 ? r.sid_v6->ToString() : std::string();
  insert_service_.Bind(1, r.id.value());
  insert_service_.BindText(2, r.name);
  r.sid_v4 ? insert_service_.BindText(3, v4) : insert_service_.BindNull(3);
  r.sid_v6 ? insert_service_.BindText(4, v6) : insert_service_.BindNull(4);
  insert_service_.Bind(5, r.removed ? 1 : 0);
  return insert_service_.Run();
}

bool Writer::WriteInstance(const InstanceRecord& r) {
  const std::string bid = r.bid.ToString();
  Statement& s = insert_instance_;
  s.Bind(1, r.id.value());
  s.BindText(2, r.name);
  s.Bind(3, r.service.value());
  s.BindText(4, bid);
  s.BindText(5, r.agent);
  s.BindOptional(6, r.capacity.cpu_cores);
  s.BindOptional(7, r.capacity.memory_bytes);
  s.BindOptional(8, r.capacity.gpus);
  s.BindOptional(9, r.capacity.max_sessions);
  s.BindOptional(10, r.capacity.requests_per_s);
  s.Bind(11, static_cast<int64_t>(r.state));
  s.BindText(12, r.reason);
  s.Bind(13, r.drained_by_operator ? 1 : 0);
  s.Bind(14, UnixMicros(r.changed_at));
  if (r.drain_until) {
    s.Bind(15, UnixMicros(*r.drain_until));
  } else {
    s.BindNull(15);
  }
  return s.Run();
}

bool Writer::WriteContext(const DecisionContextRecord& r) {
  const std::string candidates = CandidatesJson(r);
  insert_context_.Bind(1, static_cast<int64_t>(r.context));
  insert_context_.Bind(2, r.service.value());
  insert_context_.BindText(3, PolicyKindName(r.policy));
  insert_context_.Bind(4, UnixMicros(r.at));
  insert_context_.BindText(5, candidates);
  r.switch_id.valid() ? insert_context_.Bind(6, r.switch_id.value()) : insert_context_.BindNull(6);
  return insert_context_.Run();
}

bool Writer::WriteEvent(const EventRecord& r) {
  insert_event_.Bind(1, UnixMicros(r.at));
  insert_event_.BindText(2, r.kind);
  insert_event_.BindText(3, r.subject);
  insert_event_.BindText(4, r.detail);
  return insert_event_.Run();
}

bool Writer::WriteMetrics(const MetricsRecord& r) {
  const std::string samples = SamplesJson(r.metrics);
  insert_metrics_.Bind(1, r.instance.value());
  insert_metrics_.Bind(2, UnixMicros(r.at));
  insert_metrics_.BindText(3, samples);
  const std::string scores = LevelsJson(r.scores);
  insert_metrics_.BindText(4, scores);
  insert_metrics_.Bind(5, UnixMicros(r.scores_at));
  return insert_metrics_.Run();
}

bool Writer::WritePaths(const PathsRecord& r) {
  const std::string samples = PathsJson(r.paths);
  insert_paths_.BindText(1, r.agent);
  insert_paths_.Bind(2, UnixMicros(r.at));
  insert_paths_.BindText(3, samples);
  return insert_paths_.Run();
}

bool Writer::WriteLinks(const LinksRecord& r) {
  const std::string samples = LinksJson(r.links);
  insert_links_.Bind(1, r.at_switch.value());
  insert_links_.Bind(2, UnixMicros(r.at));
  insert_links_.BindText(3, samples);
  return insert_links_.Run();
}

void Writer::BindKey(Statement* s, int first, const BindingKey& key) {
  AddressText(key.client, &client_text_);
  s->BindText(first, client_text_);
  s->Bind(first + 1, key.service.value());
  s->Bind(first + 2, key.at.value());
  s->Bind(first + 3, key.src_port);
  s->Bind(first + 4, key.dst_port);
  s->Bind(first + 5, static_cast<int64_t>(key.proto));
}

void Writer::BindRow(Statement* s, const LiveRow& row) {
  const BindingStarted& started = row.started;
  BindKey(s, 1, started.key);
  AddressText(started.sid, &sid_text_);
  s->Bind(7, started.instance.value());
  s->BindText(8, sid_text_);
  s->Bind(9, static_cast<int64_t>(started.decided_by));
  s->Bind(10, static_cast<int64_t>(started.reason));
  s->Bind(11, UnixMicros(started.at));
  s->Bind(12, UnixMicros(row.last_seen));
  s->Bind(13, started.idle_timeout.count());
  s->Bind(14, static_cast<int64_t>(row.packets));
  s->Bind(15, static_cast<int64_t>(row.bytes));
  if (started.decision.context != 0) {
    s->Bind(16, static_cast<int64_t>(started.decision.context));
  } else {
    s->BindNull(16);
  }
  s->Bind(17, started.decision.candidates);
  if (started.decision.kept != 0) {
    ScoresJson(started.decision, &scores_text_);
    s->BindText(18, scores_text_);
  } else {
    s->BindNull(18);
  }
}

bool Writer::WriteHistory(const HistoryRow& r) {
  BindRow(&insert_history_, r.row);
  insert_history_.Bind(19, UnixMicros(r.ended_at));
  insert_history_.Bind(20, static_cast<int64_t>(r.reason));
  return insert_history_.Run();
}

bool Writer::EndStored(const BindingEntry& entry, const StoredChange& change, Piece* piece) {
  Statement& copy = copy_to_history_;
  BindKey(&copy, 1, entry.key);
  copy.BindOptional(7,
                    change.last_seen ? std::optional<int64_t>(UnixMicros(*change.last_seen)) : std::nullopt);
  copy.BindOptional(8, change.packets ? std::optional<int64_t>(*change.packets) : std::nullopt);
  copy.BindOptional(9, change.bytes ? std::optional<int64_t>(*change.bytes) : std::nullopt);
  copy.Bind(10, UnixMicros(change.at));
  copy.Bind(11, static_cast<int64_t>(change.reason));
  if (!copy.Run()) return false;
  if (db_.changes() == 0) return true;  // it was not there after all
  ++piece->history_rows;
  BindKey(&delete_, 1, entry.key);
  if (!delete_.Run()) return false;
  piece->keys.erased.push_back(entry.hash);
  return true;
}

bool Writer::WriteEntry(const BindingEntry& entry, Piece* piece) {
  const StoredChange& change = entry.stored;
  if (change.kind == StoredChange::Kind::kTouch) {
    BindKey(&touch_, 1, entry.key);
    touch_.Bind(7, UnixMicros(change.last_seen.value_or(WallTime{})));
    touch_.Bind(8, static_cast<int64_t>(change.packets.value_or(0)));
    touch_.Bind(9, static_cast<int64_t>(change.bytes.value_or(0)));
    if (!touch_.Run()) return false;
  } else if (change.kind != StoredChange::Kind::kKeep) {
    if (!EndStored(entry, change, piece)) return false;
  }
  if (entry.live) {
    BindRow(&insert_binding_, *entry.live);
    if (!insert_binding_.Run()) return false;
    if (db_.changes() == 0) {
      // A row that we did not know of: somebody else wrote it. It ends as replaced.
      StoredChange replaced;
      replaced.reason = EndReason::kReplaced;
      replaced.at = entry.live->started.at;
      if (!EndStored(entry, replaced, piece)) return false;
      BindRow(&insert_binding_, *entry.live);
      if (!insert_binding_.Run()) return false;
    }
    piece->keys.inserted.push_back(entry.hash);
  }
  piece->tokens += entry.tokens();
  return true;
}

Result<Writer::Pruned> Writer::Prune(WallTime cutoff, size_t max_rows) {
  // What the contexts' piece spans, found before the transaction so that nothing is locked meanwhile.
  const std::string ids = "SELECT max(id) FROM (SELECT id, at_us FROM decision_context WHERE id > " +
                          std::to_string(context_cursor_) + " ORDER BY id LIMIT " + std::to_string(max_rows) +
                          ") WHERE at_us < " + std::to_string(UnixMicros(cutoff));
  Result<int64_t> last_id = db_.QueryInt(ids.c_str());
  if (!last_id.ok()) return last_id.error();

  if (Status begun = Begin(); !begun.ok()) return begun.error();
  Pruned out;
  for (Statement* s : {&prune_history_, &prune_events_}) {
    s->Bind(1, UnixMicros(cutoff));
    s->Bind(2, static_cast<int64_t>(max_rows));
    if (!s->Run()) return Rollback("deleting old rows");
    const uint64_t deleted = static_cast<uint64_t>(db_.changes());
    if (s == &prune_history_) out.history = deleted;
    out.more = out.more || deleted == max_rows;
  }
  if (*last_id > context_cursor_) {
    prune_contexts_.Bind(1, context_cursor_);
    prune_contexts_.Bind(2, *last_id);
    prune_contexts_.Bind(3, UnixMicros(cutoff));
    if (!prune_contexts_.Run()) return Rollback("deleting old rows");
  }
  if (Status committed = Commit(); !committed.ok()) return committed.error();
  out.more = out.more || *last_id > context_cursor_;
  // A round that found nothing expired is over: the next one starts at the oldest again.
  context_cursor_ = *last_id > context_cursor_ ? *last_id : 0;
  return out;
}

Status Writer::Checkpoint() {
  const int code = sqlite3_wal_checkpoint_v2(db_.raw(), "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) return db_.LastError("checkpointing");
  return Ok();
}

}  // namespace dyncast::store
