// Step 5: the network, as it was seen newest. One row an agent (its ways to others) and one row a switch (its
// ports' traffic), as the message comes: what is not in it is no longer known. A controller that starts
// empties both.
#pragma once

#include <string_view>

namespace dyncast::sql {

inline constexpr std::string_view kMigration005Network = R"sql(
CREATE TABLE path_report (
  agent TEXT PRIMARY KEY,
  at_us INTEGER NOT NULL,
  samples TEXT NOT NULL
) WITHOUT ROWID;

CREATE VIEW paths AS
SELECT r.agent, e.value ->> '$.peer' AS peer,
       CASE e.value ->> '$.ipv6' WHEN 1 THEN 'ipv6' ELSE 'ipv4' END AS family,
       e.value ->> '$.rtt_us' / 1e6 AS rtt_s, e.value ->> '$.rtt_min_us' / 1e6 AS rtt_min_s,
       e.value ->> '$.jitter_forward_us' / 1e6 AS jitter_forward_s,
       e.value ->> '$.jitter_backward_us' / 1e6 AS jitter_backward_s,
       e.value ->> '$.loss' AS loss, e.value ->> '$.loss_forward' AS loss_forward,
       e.value ->> '$.loss_backward' AS loss_backward, e.value ->> '$.sent' AS sent,
       e.value ->> '$.window_ms' / 1e3 AS window_s, r.at_us / 1e6 AS at
FROM path_report r JOIN json_each(r.samples) e;

CREATE TABLE link_report (
  switch_id INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  samples TEXT NOT NULL
);

CREATE VIEW links AS
SELECT w.name AS switch, e.value ->> '$.port' AS port, e.value ->> '$.role' AS role,
       e.value ->> '$.in_bit_s' AS in_bit_s, e.value ->> '$.out_bit_s' AS out_bit_s,
       e.value ->> '$.in_packets_s' AS in_packets_s, e.value ->> '$.out_packets_s' AS out_packets_s,
       e.value ->> '$.speed_bit_s' AS speed_bit_s,
       e.value ->> '$.in_bit_s' / (e.value ->> '$.speed_bit_s') AS in_load,
       e.value ->> '$.out_bit_s' / (e.value ->> '$.speed_bit_s') AS out_load,
       e.value ->> '$.in_bytes' AS in_bytes, e.value ->> '$.out_bytes' AS out_bytes,
       e.value ->> '$.in_packets' AS in_packets, e.value ->> '$.out_packets' AS out_packets,
       e.value ->> '$.in_dropped' AS in_dropped, e.value ->> '$.out_dropped' AS out_dropped,
       e.value ->> '$.window_us' / 1e6 AS window_s, r.at_us / 1e6 AS at
FROM link_report r JOIN json_each(r.samples) e
LEFT JOIN switch w ON w.id = r.switch_id;
)sql";

}  // namespace dyncast::sql
