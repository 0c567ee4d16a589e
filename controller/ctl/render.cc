#include "controller/ctl/render.h"

#include <fmt/core.h>

#include <algorithm>

#include "controller/ctl/lists.h"
#include "controller/ctl/table.h"

namespace dyncast::ctl {
namespace {

double UnixSeconds(WallTime t) { return static_cast<double>(UnixMicros(t)) / 1e6; }

std::string Cell(const Column& column, const Json& row, WallTime now) {
  const Json& value = Field(row, column.field);
  switch (column.kind) {
    case Kind::kText:
    case Kind::kNumber: return FormatValue(value);
    case Kind::kDuration: return value.is_number() ? FormatDuration(value.get<double>()) : FormatValue(value);
    case Kind::kTime: return FormatTime(value);
    case Kind::kAge:
      return value.is_number() ? FormatDuration(UnixSeconds(now) - value.get<double>()) : FormatValue(value);
    case Kind::kDelay: return value.is_number() ? FormatDelay(value.get<double>()) : FormatValue(value);
    case Kind::kShare: return FormatShare(value);
    case Kind::kBitRate: return value.is_number() ? FormatBitRate(value.get<double>()) : FormatValue(value);
    case Kind::kSent: return FormatValue(Field(value, "sent"));
    case Kind::kHeld: return FormatValue(Field(value, "suppressed"));
    case Kind::kUpOf: return FormatValue(value) + "/" + FormatValue(Field(row, "instances_known"));
    case Kind::kHeard:
      return value.is_boolean() ? (value.get<bool>() ? "silent" : "heard") : FormatValue(value);
    case Kind::kState:
      // Not announced since the controller started: its state is the one that the database remembers.
      return FormatValue(value) + (Field(row, "trusted_from_before") == true ? " (remembered)" : "");
    case Kind::kSids: {
      const Json& v6 = Field(row, "sid_v6");
      if (!v6.is_string()) return FormatValue(value);
      return value.is_string() ? FormatValue(value) + ", " + FormatValue(v6) : FormatValue(v6);
    }
  }
  return "-";
}

Align AlignOf(Kind kind) {
  const bool text = kind == Kind::kText || kind == Kind::kTime || kind == Kind::kHeard ||
                    kind == Kind::kState || kind == Kind::kSids;
  return text ? Align::kLeft : Align::kRight;
}

// The array under `key`, or null where the answer is not of that form.
const Json* RowsOf(const Json& answer, std::string_view key) {
  const Json& rows = Field(answer, key);
  if (!rows.is_array()) return nullptr;
  const bool objects = std::all_of(rows.begin(), rows.end(), [](const Json& row) { return row.is_object(); });
  return objects ? &rows : nullptr;
}

Error NotOfTheForm(std::string_view key) {
  return MakeError(Errc::kProtocol, fmt::format("the controller's answer has no list '{}'", key));
}

// "i1 25.0%, i2 75.0%"
std::string SharesText(const Json& shares, const char* field) {
  std::string out;
  if (!shares.is_array()) return "-";
  for (const Json& share : shares) {
    const Json& part = Field(share, field);
    if (!part.is_number() || part.get<double>() <= 0) continue;
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", FormatValue(Field(share, "instance")),
                       FormatShare(part));
  }
  return out.empty() ? "-" : out;
}

// What each switch does by itself for services with dispatch learn; empty where there is none.
std::string SharesOfServices(const Json& services) {
  Table table({{"SERVICE"},
               {"SWITCH"},
               {"BINDINGS", Align::kRight},
               {"FULL"},
               {"SHARES OF NEW DEMANDS, IPv4"},
               {"IPv6"}});
  for (const Json& service : services) {
    const Json& switches = Field(service, "switches");
    if (!switches.is_array() || Field(service, "dispatch") != "learn") continue;
    for (const Json& at : switches) {
      const Json& shares = Field(at, "shares");
      table.Add({FormatValue(Field(service, "name")), FormatValue(Field(at, "switch")),
                 FormatValue(Field(at, "bindings")), FormatValue(Field(at, "full")),
                 SharesText(shares, "share_v4"), SharesText(shares, "share_v6")});
    }
  }
  return table.empty() ? "" : "\n" + table.Text();
}

}  // namespace

const Json& Field(const Json& object, std::string_view key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(std::string(key));
  return it == object.end() ? kNull : *it;
}

Result<std::string> RenderList(std::string_view list, const Json& answer, WallTime now) {
  const auto found =
      std::find_if(Lists().begin(), Lists().end(), [&](const List& known) { return list == known.name; });
  if (found == Lists().end()) return MakeError(Errc::kInternal, fmt::format("no list '{}'", list));
  const Json* rows = RowsOf(answer, list);
  if (rows == nullptr) return NotOfTheForm(list);
  if (rows->empty()) return fmt::format("no {}\n", list);
  std::vector<Heading> headings;
  for (const Column& column : found->columns) headings.push_back({column.heading, AlignOf(column.kind)});
  Table table(headings);
  for (const Json& row : *rows) {
    std::vector<std::string> cells;
    for (const Column& column : found->columns) cells.push_back(Cell(column, row, now));
    table.Add(std::move(cells));
  }
  return table.Text() + (list == "services" ? SharesOfServices(*rows) : "");
}

std::string RenderEvent(const Json& event) {
  return fmt::format("{}  {}  {}  {}\n", FormatTime(Field(event, "at")), FormatValue(Field(event, "kind")),
                     FormatValue(Field(event, "subject")), FormatValue(Field(event, "detail")));
}

Result<std::string> RenderStatus(const Json& answer) {
  if (!answer.is_object()) return MakeError(Errc::kProtocol, "the controller's status is no object");
  const auto text = [&](const char* key) { return FormatValue(Field(answer, key)); };
  const Json& uptime = Field(answer, "uptime_s");
  std::string out = fmt::format("fabric {}, version {}, up {}, pid {}\n", text("fabric"), text("version"),
                                uptime.is_number() ? FormatDuration(uptime.get<double>()) : "-", text("pid"));
  out += fmt::format("switches   {} of {} in sync\n", text("switches_synced"), text("switches_total"));
  out += fmt::format("instances  {} of {} up\n", text("instances_up"), text("instances_known"));
  out += fmt::format("agents     {} of {} heard\n", text("agents_heard"), text("agents_total"));
  out += fmt::format("bindings   {}\n", text("bindings"));
  out += fmt::format("services   {} of {} full\n", text("services_full"), text("services_total"));
  out += fmt::format("demands    {}\n", text("demands"));
  out += fmt::format("warnings   {}\n", text("warnings"));
  const Json& database = Field(answer, "database");
  const Json& healthy = Field(database, "healthy");
  out += fmt::format("database   {}, {} waiting, {} written, {} dropped\n",
                     !healthy.is_boolean() ? "-"
                     : healthy.get<bool>() ? "healthy"
                                           : "FAILING",
                     FormatValue(Field(database, "pending")), FormatValue(Field(database, "written")),
                     FormatValue(Field(database, "dropped")));
  if (const std::string error = FormatValue(Field(database, "last_error")); error != "-") {
    out += "           last error: " + error + "\n";
  }
  if (const Json& alarms = Field(answer, "alarms"); alarms.is_array()) {
    for (const Json& alarm : alarms) out += "ALARM      " + FormatValue(alarm) + "\n";
  }
  const Json& counters = Field(answer, "counters");
  if (counters.is_object() && !counters.empty()) {
    Table table({{"COUNTER"}, {"VALUE", Align::kRight}});
    for (const auto& [name, value] : counters.items()) table.Add({Escape(name), FormatValue(value)});
    out += "\n" + table.Text();
  }
  return out;
}

Result<std::string> RenderCheck(const Json& answer) {
  const Json* rows = RowsOf(answer, "switches");
  if (rows == nullptr) return NotOfTheForm("switches");
  Table table({{"SWITCH"},
               {"OK"},
               {"KEPT", Align::kRight},
               {"MISSING", Align::kRight},
               {"UNEXPECTED", Align::kRight},
               {"ON SWITCH", Align::kRight},
               {"IN TABLE", Align::kRight},
               {"IN DATABASE", Align::kRight},
               {"PLAN EQUAL"}});
  std::string differences;
  for (const Json& row : *rows) {
    std::vector<std::string> cells;
    for (const char* key : {"name", "ok", "kept", "missing", "unexpected", "bindings_switch",
                            "bindings_table", "bindings_database", "plan_equal"}) {
      cells.push_back(FormatValue(Field(row, key)));
    }
    if (Field(row, "reachable") == false) {
      differences += cells[0] + ": the switch could not be asked\n";
    }
    for (const Json& difference : Field(row, "differences")) {
      differences += cells[0] + ": " + FormatValue(difference) + "\n";
    }
    table.Add(std::move(cells));
  }
  const bool ok = Field(answer, "ok") == true;
  return table.Text() + differences +
         (ok ? "every switch holds what it must\n" : "not every switch holds what it must\n");
}

Result<std::string> RenderSync(const Json& answer) {
  const Json* rows = RowsOf(answer, "switches");
  if (rows == nullptr) return NotOfTheForm("switches");
  Table table({{"SWITCH"},
               {"OK"},
               {"KEPT", Align::kRight},
               {"ADDED", Align::kRight},
               {"DELETED", Align::kRight},
               {"ERROR"}});
  std::string differences;
  for (const Json& row : *rows) {
    std::vector<std::string> cells;
    for (const char* key : {"name", "ok", "kept", "added", "deleted", "error"}) {
      cells.push_back(FormatValue(Field(row, key)));
    }
    for (const Json& difference : Field(row, "differences")) {
      differences += cells[0] + ": " + FormatValue(difference) + "\n";
    }
    table.Add(std::move(cells));
  }
  return table.Text() + differences;
}

Result<std::string> RenderDrain(const Json& answer) {
  if (!answer.is_object()) return MakeError(Errc::kProtocol, "the controller's answer is no object");
  return fmt::format("{} is {}\n", FormatValue(Field(answer, "instance")),
                     FormatValue(Field(answer, "state")));
}

Result<Json> FilterRows(std::string_view list, std::string_view field, const std::vector<std::string>& values,
                        Json answer) {
  if (values.empty()) return answer;
  const Json* rows = RowsOf(answer, list);
  if (rows == nullptr) return NotOfTheForm(list);
  Json kept = Json::array();
  std::vector<std::string> missing = values;
  for (const Json& row : *rows) {
    const Json& value = Field(row, field);
    if (!value.is_string() || std::find(values.begin(), values.end(), value) == values.end()) continue;
    std::erase(missing, value.get<std::string>());
    kept.push_back(row);
  }
  if (!missing.empty()) {
    return MakeError(Errc::kNotFound, fmt::format("none of the {} has the {} '{}'", list, field, missing[0]));
  }
  answer[std::string(list)] = std::move(kept);
  return answer;
}

bool IsSo(std::string_view command, const Json& answer) {
  if (command == "check" || command == "sync") return Field(answer, "ok") == true;
  if (command != "explain") return true;
  if (Field(answer, "would_choose").is_string()) return true;
  if (const Json& verdicts = Field(answer, "verdicts"); verdicts.is_array()) {
    const auto takes = [](const Json& at) {
      const Json& slots = Field(at, "slots");
      return slots.is_number() && slots > 0;
    };
    if (std::any_of(verdicts.begin(), verdicts.end(), takes)) return true;
  }
  const Json& bound = Field(answer, "bound");
  return bound.is_array() && std::any_of(bound.begin(), bound.end(), [](const Json& binding) {
           return Field(binding, "instance_gone") != true;
         });
}

Error ErrorOf(int status, const Json& answer) {
  const Json& error = Field(answer, "error");
  const Json& message = Field(error, "message");
  const std::string text = message.is_string()
                               ? Escape(message.get_ref<const std::string&>())
                               : fmt::format("the controller answered with HTTP status {}", status);
  if (status == 404) return MakeError(Errc::kNotFound, text);
  if (status == 409) return MakeError(Errc::kConflict, text);
  return MakeError(status < 500 ? Errc::kInvalid : Errc::kUnavailable, text);
}

int ExitCode(const Error& error) {
  return error.code == Errc::kNotFound || error.code == Errc::kConflict ? 1 : 2;
}

}  // namespace dyncast::ctl
