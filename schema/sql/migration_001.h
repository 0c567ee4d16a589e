// Step 1: the tables. Described column by column in docs/database.md.
//
// Tables are singular and hold numbers (ids, microseconds, codes of enumerations); people read the views
// of step 2, which are plural and hold names.
//
// `binding` has no rowid: its key is its place in the file, so one binding is one write. The client
// stands first because "where is this client bound" is the question people ask.
#pragma once

#include <string_view>

namespace dyncast::sql {

inline constexpr std::string_view kMigration001Tables = R"sql(
CREATE TABLE switch (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL
);

CREATE TABLE service (
  id      INTEGER PRIMARY KEY,
  name    TEXT NOT NULL,
  sid_v4  TEXT,
  sid_v6  TEXT,
  removed INTEGER NOT NULL
);

CREATE TABLE instance (
  id                  INTEGER PRIMARY KEY,
  name                TEXT NOT NULL,
  service_id          INTEGER NOT NULL,
  bid                 TEXT NOT NULL,
  agent               TEXT NOT NULL,
  cpu_cores           REAL,
  memory_bytes        REAL,
  gpus                REAL,
  max_sessions        REAL,
  requests_per_s      REAL,
  state               INTEGER NOT NULL,
  reason              TEXT NOT NULL,
  drained_by_operator INTEGER NOT NULL,
  drain_until_us      INTEGER,
  changed_at_us       INTEGER NOT NULL
);

CREATE TABLE binding (
  client          TEXT NOT NULL,
  service_id      INTEGER NOT NULL,
  switch_id       INTEGER NOT NULL,
  src_port        INTEGER NOT NULL,
  dst_port        INTEGER NOT NULL,
  proto           INTEGER NOT NULL,
  instance_id     INTEGER NOT NULL,
  sid             TEXT NOT NULL,
  decided_by      INTEGER NOT NULL,
  start_reason    INTEGER NOT NULL,
  created_at_us   INTEGER NOT NULL,
  last_seen_at_us INTEGER NOT NULL,
  idle_timeout_s  INTEGER NOT NULL,
  packets         INTEGER NOT NULL,
  bytes           INTEGER NOT NULL,
  context         INTEGER,
  candidate_count INTEGER NOT NULL,
  scores          TEXT,
  PRIMARY KEY (client, service_id, switch_id, src_port, dst_port, proto)
) WITHOUT ROWID;

CREATE TABLE history (
  id              INTEGER PRIMARY KEY,
  client          TEXT NOT NULL,
  service_id      INTEGER NOT NULL,
  switch_id       INTEGER NOT NULL,
  src_port        INTEGER NOT NULL,
  dst_port        INTEGER NOT NULL,
  proto           INTEGER NOT NULL,
  instance_id     INTEGER NOT NULL,
  sid             TEXT NOT NULL,
  decided_by      INTEGER NOT NULL,
  start_reason    INTEGER NOT NULL,
  created_at_us   INTEGER NOT NULL,
  last_seen_at_us INTEGER NOT NULL,
  idle_timeout_s  INTEGER NOT NULL,
  packets         INTEGER NOT NULL,
  bytes           INTEGER NOT NULL,
  context         INTEGER,
  candidate_count INTEGER NOT NULL,
  scores          TEXT,
  ended_at_us     INTEGER NOT NULL,
  end_reason      INTEGER NOT NULL
);
CREATE INDEX history_by_client ON history (client);

CREATE TABLE decision_context (
  id         INTEGER PRIMARY KEY,
  service_id INTEGER NOT NULL,
  policy     TEXT NOT NULL,
  at_us      INTEGER NOT NULL,
  candidates TEXT NOT NULL
);

CREATE TABLE event (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at_us   INTEGER NOT NULL,
  kind    TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail  TEXT NOT NULL
);

CREATE TABLE metric_report (
  instance_id INTEGER PRIMARY KEY,
  at_us       INTEGER NOT NULL,
  samples     TEXT NOT NULL
);
)sql";

}  // namespace dyncast::sql
