// Step 3: what in-switch dispatch adds. A decision context may belong to one switch (its shares are in force
// there alone), and its candidates have the share of new demands that the switch gives them by hash.
#pragma once

#include <string_view>

namespace dyncast::sql {

inline constexpr std::string_view kMigration003Shares = R"sql(
ALTER TABLE decision_context ADD COLUMN switch_id INTEGER;

DROP VIEW decision_contexts;
CREATE VIEW decision_contexts AS
SELECT c.id AS context, c.at_us / 1e6 AS at, s.name AS service, c.policy,
       (SELECT json_group_array(json_set(e.value, '$.instance', i.name))
        FROM json_each(c.candidates) e LEFT JOIN instance i ON i.id = e.value ->> '$.instance_id')
         AS candidates,
       w.name AS switch
FROM decision_context c
LEFT JOIN service s ON s.id = c.service_id
LEFT JOIN switch w ON w.id = c.switch_id;

DROP VIEW decisions;
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
         END AS candidates,
       (SELECT e.value ->> '$.share' FROM json_each(c.candidates) e
        WHERE e.value ->> '$.instance_id' = d.instance_id) AS share
FROM (SELECT 1 AS live, client, service_id, switch_id, src_port, dst_port, proto, instance_id, sid,
             decided_by, start_reason, created_at_us, context, candidate_count, scores FROM binding
      UNION ALL
      SELECT 0, client, service_id, switch_id, src_port, dst_port, proto, instance_id, sid,
             decided_by, start_reason, created_at_us, context, candidate_count, scores FROM history) d
LEFT JOIN switch w ON w.id = d.switch_id
LEFT JOIN service s ON s.id = d.service_id
LEFT JOIN instance i ON i.id = d.instance_id
LEFT JOIN decision_context c ON c.id = d.context;
)sql";

}  // namespace dyncast::sql
