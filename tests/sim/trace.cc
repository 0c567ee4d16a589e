#include "tests/sim/trace.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_map>

#include "schema/base/ip.h"
#include "tests/sim/csv.h"
#include "tests/sim/random.h"

namespace dyncast::sim {
namespace {

constexpr std::string_view kHeader = "arrival_s,client,service,work_s";
constexpr double kLongest_s = 86400;
constexpr double kLeastWork_s = 1e-6;
constexpr double kMostWork_s = 3600;

bool IsClient(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == ':' || c == '-';
  });
}

class TraceParser {
 public:
  TraceParser(std::string_view text, std::string_view name, const std::vector<std::string>& services,
              const std::vector<bool>& served)
      : csv_(text, name), name_(name), services_(services), served_(served) {}

  Result<Trace> Parse() {
    std::vector<std::string_view> fields;
    if (!csv_.Next(&fields)) return MakeError(Errc::kInvalid, fmt::format("{}: nothing in it", name_));
    std::string header;
    for (const std::string_view field : fields) header += (header.empty() ? "" : ",") + std::string(field);
    if (header != kHeader) return csv_.Refuse(header, fmt::format("the first line must be {}", kHeader));
    while (csv_.Next(&fields)) {
      if (auto error = AddLine(fields)) return std::move(*error);
    }
    return std::move(trace_);
  }

 private:
  std::optional<Error> AddLine(const std::vector<std::string_view>& fields) {
    if (fields.size() != 4) {
      return csv_.Refuse(fields.front(),
                         fmt::format("must be four values ({}), here are {}", kHeader, fields.size()));
    }
    Trace::Row row;
    const auto at = ParseDecimal(fields[0], Sign::kNone);
    if (!at || *at > kLongest_s)
      return csv_.Refuse(fields[0], "arrival_s must be a number of seconds, 0 to 86400");
    row.at = Micros{static_cast<int64_t>(std::llround(*at * 1e6))};
    if (!trace_.rows.empty() && row.at < trace_.rows.back().at) {
      return csv_.Refuse(fields[0], "arrival_s must not be less than in the line above");
    }
    if (!IsClient(fields[1]))
      return csv_.Refuse(fields[1], "client must be 1 to 64 octets of [A-Za-z0-9._:-]");
    const auto [client, fresh] =
        ids_.try_emplace(std::string(fields[1]), static_cast<uint32_t>(trace_.clients.size()));
    if (fresh) {
      if (trace_.clients.size() >= kMostClients) {
        return csv_.Refuse(fields[1], fmt::format("is one client more than {}", kMostClients));
      }
      trace_.clients.emplace_back(fields[1]);
    }
    row.client = client->second;
    const auto service = std::find(services_.begin(), services_.end(), fields[2]);
    if (service == services_.end())
      return csv_.Refuse(fields[2], "service must be one of the scenario's 'services'");
    row.service = static_cast<uint32_t>(service - services_.begin());
    if (!served_[row.service]) return csv_.Refuse(fields[2], "no instance serves this service");
    const auto work = ParseDecimal(fields[3], Sign::kNone);
    if (!work || *work < kLeastWork_s || *work > kMostWork_s) {
      return csv_.Refuse(fields[3], "work_s must be a number of seconds, 0.000001 to 3600");
    }
    row.work_s = *work;
    trace_.rows.push_back(row);
    return std::nullopt;
  }

  CsvReader csv_;
  const std::string_view name_;
  const std::vector<std::string>& services_;
  const std::vector<bool>& served_;
  std::unordered_map<std::string, uint32_t> ids_;
  Trace trace_;
};

}  // namespace

Result<Trace> ParseTrace(std::string_view text, std::string_view name,
                         const std::vector<std::string>& services, const std::vector<bool>& served) {
  return TraceParser(text, name, services, served).Parse();
}

void AssignRouters(const std::vector<double>& router_shares, Trace* trace) {
  trace->client_routers.clear();
  for (const std::string& client : trace->clients) {
    const double where = static_cast<double>(Scramble(StableHash(client)) >> 11) * 0x1p-53;
    const auto at = std::upper_bound(router_shares.begin(), router_shares.end() - 1, where);
    trace->client_routers.push_back(static_cast<uint32_t>(at - router_shares.begin()));
  }
}

}  // namespace dyncast::sim
