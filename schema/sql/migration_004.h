// Step 4: scores of CATS' levels 1 and 2. The newest of each instance stand beside its newest report: without
// any way to it (switch_id 0) and from each switch whose way to it is known; of one that is down none are
// shown. A decision's candidates have
// theirs inside of decision_context.candidates, as `levels`.
#pragma once

#include <string_view>

namespace dyncast::sql {

inline constexpr std::string_view kMigration004Scores = R"sql(
ALTER TABLE metric_report ADD COLUMN scores TEXT;
ALTER TABLE metric_report ADD COLUMN scores_at_us INTEGER;

CREATE VIEW scores AS
SELECT i.name AS instance, s.name AS service, i.agent AS site, w.name AS switch,
       e.value ->> '$.l1_compute' AS l1_compute, e.value ->> '$.l1_communication' AS l1_communication,
       e.value ->> '$.l1_service' AS l1_service, e.value ->> '$.l2' AS l2,
       CASE WHEN e.value ->> '$.l2' < 3.5 THEN 'not-recommended' WHEN e.value ->> '$.l2' < 7.5 THEN 'optional'
            WHEN e.value ->> '$.l2' >= 7.5 THEN 'priority' END AS meaning,
       r.scores_at_us / 1e6 AS at
FROM metric_report r JOIN json_each(r.scores) e
LEFT JOIN instance i ON i.id = r.instance_id
LEFT JOIN service s ON s.id = i.service_id
LEFT JOIN switch w ON w.id = e.value ->> '$.switch_id'
WHERE coalesce(i.state, 0) <> 2;

DROP VIEW metrics;
CREATE VIEW metrics AS
SELECT i.name AS instance, e.value ->> '$.name' AS name, e.value ->> '$.value' AS value,
       e.value ->> '$.unit' AS unit, e.value ->> '$.level' AS level, e.value ->> '$.source' AS source,
       e.value ->> '$.statistic' AS statistic, e.value ->> '$.window_ms' AS window_ms,
       r.at_us / 1e6 AS at, s.name AS service, i.agent AS site
FROM metric_report r JOIN json_each(r.samples) e
LEFT JOIN instance i ON i.id = r.instance_id
LEFT JOIN service s ON s.id = i.service_id;

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
        WHERE e.value ->> '$.instance_id' = d.instance_id) AS share,
       (SELECT e.value ->> '$.levels.l2' FROM json_each(c.candidates) e
        WHERE e.value ->> '$.instance_id' = d.instance_id) AS l2
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
