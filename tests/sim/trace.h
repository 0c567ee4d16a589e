// A file of demands: CSV with the header `arrival_s,client,service,work_s` and one demand a line.
//
//   arrival_s: seconds since the start, 0 to 86400, not before the line above
//   client:    1 to 64 octets of [A-Za-z0-9._:-]; who asks (an affinity key's client), at most 60000 of them
//   service:   one of the scenario's services, with at least one instance
//   work_s:    seconds that a worker of speed 1 needs, 0.000001 to 3600
//
// Numbers are decimal, without sign and exponent. Lines end in LF or CRLF; the last may end without. There
// are no quotes, comments and empty lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/result.h"
#include "schema/base/time.h"

namespace dyncast::sim {

struct Trace {
  struct Row {
    Micros at{0};
    uint32_t client = 0;   // in the order in which they first come
    uint32_t service = 0;  // index into the scenario's
    double work_s = 0;
  };
  std::vector<Row> rows;
  std::vector<std::string> clients;
  std::vector<uint32_t> client_routers;  // see AssignRouters
};

inline constexpr size_t kMaxTraceBytes = size_t{1} << 30;
inline constexpr size_t kMostClients = 60000;

// `served[i]`: service i has an instance. The first bad line is refused: "NAME:3: value 'x': RULE".
Result<Trace> ParseTrace(std::string_view text, std::string_view name,
                         const std::vector<std::string>& services, const std::vector<bool>& served);

// Each client enters at one D-Router, by a hash of its name over the shares (a running sum up to 1).
void AssignRouters(const std::vector<double>& router_shares, Trace* trace);

}  // namespace dyncast::sim
