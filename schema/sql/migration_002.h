// Step 2: the views that people and `dyncastctl` read. Their names and columns are an interface
// (docs/database.md): later steps may add columns, never rename or drop one.
//
// Names come by LEFT JOIN, so that a row never disappears because a name is missing. A key field that
// the service's affinity leaves out is stored as 0 and shown as NULL.
#pragma once

#include <string_view>

namespace dyncast::sql {

inline constexpr std::string_view kMigration002Views = R"sql(
CREATE VIEW switches AS
SELECT id, name, role FROM switch;

CREATE VIEW services AS
SELECT id, name, sid_v4, sid_v6, removed FROM service;

CREATE VIEW instances AS
SELECT i.id, i.name, s.name AS service, i.bid, i.agent,
       CASE i.state WHEN 0 THEN 'up' WHEN 1 THEN 'draining' WHEN 2 THEN 'down' ELSE '?' END AS state,
       i.reason, i.drained_by_operator, i.drain_until_us / 1e6 AS drain_until, i.changed_at_us / 1e6 AS changed_at,
       i.cpu_cores, i.memory_bytes, i.gpus, i.max_sessions, i.requests_per_s
FROM instance i LEFT JOIN service s ON s.id = i.service_id;

CREATE VIEW bindings AS
SELECT w.name AS switch, s.name AS service, b.sid, b.client,
       nullif(b.src_port, 0) AS src_port, nullif(b.dst_port, 0) AS dst_port,
       CASE b.proto WHEN 0 THEN NULL WHEN 1 THEN 'icmp' WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp'
                    WHEN 132 THEN 'sctp' ELSE CAST(b.proto AS TEXT) END AS proto,
       i.bid, i.name AS instance,
       CASE b.decided_by WHEN 0 THEN 'controller' WHEN 1 THEN 'switch' WHEN 2 THEN 'forwarder'
                         ELSE '?' END AS decided_by,
       b.created_at_us / 1e6 AS created_at, b.last_seen_at_us / 1e6 AS last_seen_at,
       b.idle_timeout_s, b.packets, b.bytes
FROM binding b
LEFT JOIN switch w ON w.id = b.switch_id
LEFT JOIN service s ON s.id = b.service_id
LEFT JOIN instance i ON i.id = b.instance_id;

CREATE VIEW binding_history AS
SELECT h.id, w.name AS switch, s.name AS service, h.sid, h.client,
       nullif(h.src_port, 0) AS src_port, nullif(h.dst_port, 0) AS dst_port,
       CASE h.proto WHEN 0 THEN NULL WHEN 1 THEN 'icmp' WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp'
                    WHEN 132 THEN 'sctp' ELSE CAST(h.proto AS TEXT) END AS proto,
       i.bid, i.name AS instance,
       CASE h.decided_by WHEN 0 THEN 'controller' WHEN 1 THEN 'switch' WHEN 2 THEN 'forwarder'
                         ELSE '?' END AS decided_by,
       h.created_at_us / 1e6 AS created_at, h.last_seen_at_us / 1e6 AS last_seen_at,
       h.idle_timeout_s, h.packets, h.bytes,
       h.ended_at_us / 1e6 AS ended_at,
       CASE h.end_reason WHEN 0 THEN 'idle' WHEN 1 THEN 'instance-gone' WHEN 2 THEN 'instance-drained'
                         WHEN 3 THEN 'service-removed' WHEN 4 THEN 'replaced' WHEN 5 THEN 'flow-lost'
                         WHEN 6 THEN 'away-ended' ELSE '?' END AS reason
FROM history h
LEFT JOIN switch w ON w.id = h.switch_id
LEFT JOIN service s ON s.id = h.service_id
LEFT JOIN instance i ON i.id = h.instance_id;

CREATE VIEW decision_contexts AS
SELECT c.id AS context, c.at_us / 1e6 AS at, s.name AS service, c.policy,
       (SELECT json_group_array(json_set(e.value, '$.instance', i.name))
        FROM json_each(c.candidates) e LEFT JOIN instance i ON i.id = e.value ->> '$.instance_id')
         AS candidates
FROM decision_context c LEFT JOIN service s ON s.id = c.service_id;

CREATE VIEW decisions AS
SELECT d.created_at_us / 1e6 AS at, w.name AS switch, s.name AS service, d.sid, d.client,
       nullif(d.src_port, 0) AS src_port, nullif(d.dst_port, 0) AS dst_port,
       CASE d.proto WHEN 0 THEN NULL WHEN 1 THEN 'icmp' WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp'
                    WHEN 132 THEN 'sctp' ELSE CAST(d.proto AS TEXT) END AS proto,
       i.name AS instance,
       CASE d.start_reason WHEN 0 THEN 'new' WHEN 1 THEN 'instance-gone' WHEN 2 THEN 'found'
                           ELSE '?' END AS reason,
       CASE d.decided_by WHEN 0 THEN 'controller' WHEN 1 THEN 'switch' WHEN 2 THEN 'forwarder'
                         ELSE '?' END AS decided_by,
       d.live, c.policy,
       (SELECT e.value ->> '$[1]' FROM json_each(d.scores) e
        WHERE e.value ->> '$[0]' = d.instance_id) AS cost,
       d.candidate_count,
       CASE WHEN d.scores IS NOT NULL THEN
         (SELECT json_group_array(json_object('instance', n.name, 'cost', e.value ->> '$[1]',
                                              'bindings', e.value ->> '$[2]'))
          FROM json_each(d.scores) e LEFT JOIN instance n ON n.id = e.value ->> '$[0]') END AS scores,
       d.context,
       CASE WHEN c.candidates IS NOT NULL THEN
         (SELECT json_group_array(json_set(e.value, '$.instance', n.name))
          FROM json_each(c.candidates) e LEFT JOIN instance n ON n.id = e.value ->> '$.instance_id')
         END AS candidates
FROM (SELECT 1 AS live, client, service_id, switch_id, src_port, dst_port, proto, instance_id, sid,
             decided_by, start_reason, created_at_us, context, candidate_count, scores FROM binding
      UNION ALL
      SELECT 0, client, service_id, switch_id, src_port, dst_port, proto, instance_id, sid,
             decided_by, start_reason, created_at_us, context, candidate_count, scores FROM history) d
LEFT JOIN switch w ON w.id = d.switch_id
LEFT JOIN service s ON s.id = d.service_id
LEFT JOIN instance i ON i.id = d.instance_id
LEFT JOIN decision_context c ON c.id = d.context;

CREATE VIEW events AS
SELECT id, at_us / 1e6 AS at, kind, subject, detail FROM event;

CREATE VIEW metrics AS
SELECT i.name AS instance, e.value ->> '$.name' AS name, e.value ->> '$.value' AS value,
       e.value ->> '$.unit' AS unit, e.value ->> '$.level' AS level, e.value ->> '$.source' AS source,
       e.value ->> '$.statistic' AS statistic, e.value ->> '$.window_ms' AS window_ms,
       r.at_us / 1e6 AS at
FROM metric_report r JOIN json_each(r.samples) e LEFT JOIN instance i ON i.id = r.instance_id;
)sql";

}  // namespace dyncast::sql
